// Noise rev 34 §5.1 with AESGCM (§12.4).

internal import Codec

/// A cipher key, if there is one yet, and the number of messages it has encrypted.
struct CipherState: ~Copyable {
    private let key: Secret?
    private var nonce: UInt64 = 0

    /// No key yet: text passes unchanged.
    init() { key = nil }

    /// InitializeKey: a key of 32 bytes.
    init(key: consuming Secret) { self.key = consume key }

    /// Bytes that encryption adds.
    var overhead: Int {
        switch key {
        case .none: 0
        case .some: AEAD.tagSize
        }
    }

    /// EncryptWithAd: `plaintext` and a tag of 16 bytes; `plaintext` itself while there is no key.
    mutating func encrypt(_ plaintext: [UInt8], ad: [UInt8]) throws(CodecError) -> [UInt8] {
        switch key {
        case .none: return plaintext
        case .some(let key):
            let nonce = try nextNonce(self.nonce)
            self.nonce += 1
            return AEAD.seal(key: key, nonce: nonce, aad: ad, plaintext: plaintext)
        }
    }

    /// DecryptWithAd: what ``encrypt(_:ad:)`` was given. Throws `notAuthentic`, or `lengthOutOfRange` if there is
    /// not even room for a tag.
    mutating func decrypt(_ ciphertext: [UInt8], ad: [UInt8]) throws(CodecError) -> [UInt8] {
        switch key {
        case .none: return ciphertext
        case .some(let key):
            let nonce = try nextNonce(self.nonce)
            let plaintext = try AEAD.open(key: key, nonce: nonce, aad: ad, sealed: ciphertext)
            self.nonce += 1
            return plaintext
        }
    }

    /// 32 zero bits and the number as 64 bits, big endian (§12.4). 2^64 - 1 is reserved (§5.1).
    private func nextNonce(_ number: UInt64) throws(CodecError) -> [UInt8] {
        guard number < .max else { throw .nonceExhausted }
        return [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
    }
}
