// SHA-256 of public bytes (FIPS 180-4).

import COpenSSL

/// SHA-256 of values that are not secret: transcripts, identities.
package enum SHA256 {
    /// The 32-byte hash of all parts, one after the other.
    package static func hash(_ parts: [UInt8]...) -> [UInt8] { hash(parts) }

    static func hash(_ parts: [[UInt8]]) -> [UInt8] {
        var context = SHA256_CTX()
        SHA256_Init(&context)
        for part in parts { SHA256_Update(&context, part, part.count) }
        return [UInt8](unsafeUninitializedCapacity: 32) { buffer, initialized in
            SHA256_Final(buffer.baseAddress, &context)
            initialized = 32
        }
    }
}
