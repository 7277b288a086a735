// Noise rev 34 §5.2 with SHA256: the chaining key, the handshake hash and the current cipher key.

internal import Codec

/// Everything both ends have agreed on so far. Noise's HKDF (§4.3) is RFC 5869 with an empty info, its outputs the
/// 32-byte pieces of the result.
struct SymmetricState: ~Copyable {
    private var chainingKey: Secret
    private var cipher = CipherState()
    /// The handshake hash h, 32 bytes: not secret.
    private(set) var hash: [UInt8]

    /// InitializeSymmetric: a name of at most 32 bytes is padded with zeros, a longer one is hashed.
    init(protocolName: [UInt8]) {
        hash =
            protocolName.count <= 32
            ? protocolName + [UInt8](repeating: 0, count: 32 - protocolName.count) : SHA256.hash(protocolName)
        chainingKey = Secret(copying: hash)
    }

    /// What ``encryptAndHash(_:)`` adds: 16 bytes of tag, or nothing while there is no key.
    var overhead: Int { cipher.overhead }

    /// MixKey with a Diffie-Hellman or KEM result.
    mutating func mixKey(_ input: borrowing Secret) throws(CodecError) {
        let output = try HKDF.derive(salt: chainingKey, ikm: input, info: [], count: 64)
        chainingKey = output.slice(0..<32)
        cipher = CipherState(key: output.slice(32..<64))
    }

    /// MixKey with a public value: `e` in a handshake with a psk (§9.2).
    mutating func mixKey(_ input: [UInt8]) throws(CodecError) {
        try mixKey(Secret(copying: input))
    }

    /// MixHash.
    mutating func mixHash(_ data: [UInt8]) {
        hash = SHA256.hash(hash, data)
    }

    /// MixKeyAndHash: a pre-shared key of 32 bytes.
    mutating func mixKeyAndHash(_ psk: borrowing Secret) throws(CodecError) {
        let output = try HKDF.derive(salt: chainingKey, ikm: psk, info: [], count: 96)
        chainingKey = output.slice(0..<32)
        hash = SHA256.hash(hash, output.slice(32..<64))
        cipher = CipherState(key: output.slice(64..<96))
    }

    /// EncryptAndHash.
    mutating func encryptAndHash(_ plaintext: [UInt8]) throws(CodecError) -> [UInt8] {
        let ciphertext = try cipher.encrypt(plaintext, ad: hash)
        mixHash(ciphertext)
        return ciphertext
    }

    /// DecryptAndHash.
    mutating func decryptAndHash(_ ciphertext: [UInt8]) throws(CodecError) -> [UInt8] {
        let plaintext = try cipher.decrypt(ciphertext, ad: hash)
        mixHash(ciphertext)
        return plaintext
    }

    /// Split: what plain Noise goes on with. Oncewire derives its own keys from ``finish()`` instead.
    consuming func split() throws(CodecError) -> NoiseTransport {
        let output = try HKDF.derive(salt: chainingKey, ikm: [], info: [], count: 64)
        return NoiseTransport(
            fromInitiator: CipherState(key: output.slice(0..<32)),
            fromResponder: CipherState(key: output.slice(32..<64)))
    }

    /// The chaining key and the handshake hash at the end of the handshake.
    consuming func finish() -> HandshakeResult {
        HandshakeResult(chainingKey: chainingKey, hash: hash)
    }
}

/// The two directions after Split.
struct NoiseTransport: ~Copyable {
    var fromInitiator: CipherState
    var fromResponder: CipherState
}

/// What a finished handshake leaves.
struct HandshakeResult: ~Copyable {
    /// ck, 32 bytes.
    let chainingKey: Secret
    /// h, 32 bytes, public.
    let hash: [UInt8]
}
