// Randomness that is sent in clear. Secret randomness is `Secret.random`.

import COpenSSL

/// Public randomness: salts, conversation ids.
package enum RandomBytes {
    /// `count` bytes of libcrypto's public generator. Stops the process if that fails.
    package static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard RAND_bytes(buffer.baseAddress, Int32(count)) == 1 else {
                fatalError("libcrypto has no random bytes to give")
            }
            initialized = count
        }
    }
}
