// SHA-256 over a secret, for the checksum within an identity file.

import COpenSSL

extension SHA256 {
    /// The 32-byte hash of a public prefix and a secret. The running state, which holds the secret's bytes, is in
    /// locked memory and wiped.
    package static func hash(_ prefix: [UInt8], _ secret: borrowing Secret) -> [UInt8] {
        let state = Secret(count: MemoryLayout<SHA256_CTX>.size)
        return state.withUnsafeMutableBytes { state in
            secret.withUnsafeBytes { secret in
                let context = state.baseAddress!.assumingMemoryBound(to: SHA256_CTX.self)
                SHA256_Init(context)
                SHA256_Update(context, prefix, prefix.count)
                SHA256_Update(context, secret.baseAddress, secret.count)
                return [UInt8](unsafeUninitializedCapacity: 32) { digest, count in
                    SHA256_Final(digest.baseAddress, context)
                    count = 32
                }
            }
        }
    }
}
