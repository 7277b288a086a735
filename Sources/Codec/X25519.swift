// X25519 (RFC 7748).

import CSwiftCrypto

/// Diffie-Hellman on Curve25519.
package enum X25519 {
    /// A private key: 32 secret bytes and the public key that belongs to them.
    package struct PrivateKey: ~Copyable, Sendable {
        /// The public key, 32 bytes.
        package let publicKey: [UInt8]
        private let raw: Secret

        /// A fresh random key.
        package init() { self.init(.random(count: 32)) }

        /// The key with these 32 bytes; clamping (RFC 7748 §5) happens when it is used.
        package init(_ raw: consuming Secret) {
            precondition(raw.count == 32, "an X25519 private key has 32 bytes")
            publicKey = raw.withUnsafeBytes { raw in
                [UInt8](unsafeUninitializedCapacity: 32) { bytes, initialized in
                    ow_x25519_public(bytes.baseAddress!, raw.baseAddress!)
                    initialized = 32
                }
            }
            self.raw = raw
        }

        /// The shared secret with the owner of `peer`, 32 bytes. `lengthOutOfRange` if `peer` is not 32 bytes;
        /// `weakPublicKey` if the result is all zero. A point of low order makes that happen whatever the private
        /// key is (RFC 7748 §6.1).
        package func agree(with peer: [UInt8]) throws(CodecError) -> Secret {
            guard peer.count == 32 else { throw .lengthOutOfRange }
            let shared = Secret(count: 32)
            let isShared = shared.withUnsafeMutableBytes { shared in
                raw.withUnsafeBytes { ow_x25519_agree(shared.baseAddress!, $0.baseAddress!, peer) }
            }
            guard isShared else { throw .weakPublicKey }
            return shared
        }

        /// Lends the 32 private bytes for the length of `body`, for saving them.
        package func withUnsafeBytes<R: ~Copyable, E: Error>(
            _ body: (UnsafeRawBufferPointer) throws(E) -> R
        ) throws(E) -> R {
            try raw.withUnsafeBytes(body)
        }

        /// Lends the private key as a secret, for deriving from it.
        package func withSecret<R: ~Copyable, E: Error>(_ body: (borrowing Secret) throws(E) -> R) throws(E) -> R {
            try body(raw)
        }
    }
}
