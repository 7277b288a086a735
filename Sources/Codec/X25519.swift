// X25519 (RFC 7748).

import COpenSSL

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
            guard let publicKey = Self.publicKey(of: raw) else { fatalError("libcrypto has no X25519") }
            self.publicKey = publicKey
            self.raw = raw
        }

        /// The shared secret with the owner of `peer`, 32 bytes. `lengthOutOfRange` if `peer` is not 32
        /// bytes; `weakPublicKey` if the result is all zero, which a point of low order makes happen
        /// whatever the private key is (RFC 7748 §6.1).
        package func agree(with peer: [UInt8]) throws(CodecError) -> Secret {
            guard peer.count == 32 else { throw .lengthOutOfRange }
            let shared = Secret(count: 32)
            let isDerived = shared.withUnsafeMutableBytes { derive(with: peer, into: $0) }
            // libcrypto refuses an all-zero result itself, as a failure; the fold over all 32 below does not rely
            // on every version doing so.
            let isZero = shared.withUnsafeBytes { $0.reduce(0 as UInt8) { $0 | $1 } } == 0
            guard isDerived, !isZero else {
                ERR_clear_error()
                throw .weakPublicKey
            }
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

        private func derive(with peer: [UInt8], into shared: UnsafeMutableRawBufferPointer) -> Bool {
            guard let own = Self.key(of: raw) else { fatalError("libcrypto has no X25519") }
            defer { EVP_PKEY_free(own) }
            guard let other = EVP_PKEY_new_raw_public_key_ex(nil, "X25519", nil, peer, 32) else { return false }
            defer { EVP_PKEY_free(other) }
            guard let context = EVP_PKEY_CTX_new_from_pkey(nil, own, nil) else { fatalError("libcrypto has no X25519") }
            defer { EVP_PKEY_CTX_free(context) }
            var count = 32
            return EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, other) == 1
                && EVP_PKEY_derive(context, shared.baseAddress, &count) == 1 && count == 32
        }

        private static func key(of raw: borrowing Secret) -> OpaquePointer? {
            raw.withUnsafeBytes { EVP_PKEY_new_raw_private_key_ex(nil, "X25519", nil, $0.baseAddress, 32) }
        }

        private static func publicKey(of raw: borrowing Secret) -> [UInt8]? {
            guard let key = key(of: raw) else { return nil }
            defer { EVP_PKEY_free(key) }
            var bytes = [UInt8](repeating: 0, count: 32)
            var count = 32
            guard EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1, count == 32 else { return nil }
            return bytes
        }
    }
}
