// Noise rev 34 §5.3: the keys of one end, and the tokens that move them into the symmetric state.

internal import Codec

/// Which end of a handshake this is.
enum HandshakeRole: Sendable {
    case initiator, responder
}

/// Why a message of the peer cannot continue this handshake.
enum HandshakeError: Error, Equatable {
    /// Shorter than its tokens.
    case tooShort
    /// A tag does not verify, or a key agreement came out all zero.
    case codec(CodecError)
    /// The peer's ML-KEM key is not a canonical one.
    case kem(KEMError)
}

/// One end of a handshake under way. Which tokens come when is the pattern's, a constant of this program. A token
/// without its key is a defect here and stops the process. What the peer sends only throws.
struct HandshakeState: ~Copyable {
    private let pattern: HandshakePattern
    private let role: HandshakeRole
    private let identity: Identity?
    private let psk: Secret?
    private let ephemerals: Ephemerals
    private var symmetric: SymmetricState
    private var nextMessage = 0

    /// The peer's static public key, once it is known.
    private(set) var remoteStatic: [UInt8]?
    private var remoteEphemeral: [UInt8]?
    private var remoteEncapsulationKey: [UInt8]?

    /// `context` is mixed in after the prologue, before the static keys that are known beforehand. `psk` has 32 bytes.
    init(
        _ pattern: HandshakePattern, role: HandshakeRole, prologue: [UInt8], context: [UInt8]? = nil,
        identity: Identity?, remoteStatic: [UInt8]?, psk: consuming Secret?, ephemerals: consuming Ephemerals
    ) {
        self.pattern = pattern
        self.role = role
        self.identity = identity
        self.remoteStatic = remoteStatic
        self.psk = consume psk
        self.ephemerals = ephemerals
        symmetric = SymmetricState(protocolName: [UInt8](pattern.protocolName.utf8))
        symmetric.mixHash(prologue)
        if let context { symmetric.mixHash(context) }
        let ownStatic = identity?.publicKey.bytes
        let (initiator, responder) = role == .initiator ? (ownStatic, remoteStatic) : (remoteStatic, ownStatic)
        if pattern.knowsInitiator { symmetric.mixHash(known(initiator)) }
        if pattern.knowsResponder { symmetric.mixHash(known(responder)) }
    }

    /// Mixes public data that both ends know into the transcript, between two messages.
    mutating func mixHash(_ data: [UInt8]) { symmetric.mixHash(data) }

    /// WriteMessage: the tokens of the next message, then the payload.
    mutating func write(payload: [UInt8]) throws(HandshakeError) -> [UInt8] {
        var message: [UInt8] = []
        for token in pattern.messages[nextMessage] { try write(token, to: &message) }
        nextMessage += 1
        message += try encryptAndHash(payload)
        return message
    }

    /// ReadMessage: the tokens of the next message, then its payload. After an error the handshake has ended.
    mutating func read(_ message: [UInt8]) throws(HandshakeError) -> [UInt8] {
        var rest = message[...]
        for token in pattern.messages[nextMessage] { try read(token, from: &rest) }
        nextMessage += 1
        return try decryptAndHash([UInt8](rest))
    }

    /// The end of the handshake; every other secret of it is wiped.
    consuming func finish() -> HandshakeResult { symmetric.finish() }

    /// The end of a plain Noise handshake.
    consuming func split() throws(CodecError) -> NoiseTransport { try symmetric.split() }

    /// h, 32 bytes.
    var hash: [UInt8] { symmetric.hash }

    // MARK: Tokens

    private mutating func write(_ token: HandshakeToken, to message: inout [UInt8]) throws(HandshakeError) {
        switch token {
        case .e:
            message += ephemerals.dh.publicKey
            try mixEphemeral(ephemerals.dh.publicKey)
        case .s:
            message += try encryptAndHash(known(identity?.publicKey.bytes))
        case .e1:
            guard let kem = ephemerals.kem else { preconditionFailure("e1 without a KEM key") }
            message += try encryptAndHash(kem.encapsulationKey)
        case .ekem1:
            let encapsulation = try encapsulate()
            message += try encryptAndHash(encapsulation.ciphertext)
            try mixKey(encapsulation.sharedSecret)
        case .ee, .es, .se, .ss: try agree(token)
        case .psk: try mixPSK()
        }
    }

    private mutating func read(_ token: HandshakeToken, from rest: inout ArraySlice<UInt8>) throws(HandshakeError) {
        switch token {
        case .e:
            let key = try take(32, from: &rest)
            remoteEphemeral = key
            try mixEphemeral(key)
        case .s:
            remoteStatic = try decryptAndHash(take(32 + symmetric.overhead, from: &rest))
        case .e1:
            let size = KEM.encapsulationKeySize + symmetric.overhead
            remoteEncapsulationKey = try decryptAndHash(take(size, from: &rest))
        case .ekem1:
            guard let kem = ephemerals.kem else { preconditionFailure("ekem1 without a KEM key") }
            let ciphertext = try decryptAndHash(take(KEM.ciphertextSize + symmetric.overhead, from: &rest))
            try mixKey(decapsulate(ciphertext, with: kem))
        case .ee, .es, .se, .ss: try agree(token)
        case .psk: try mixPSK()
        }
    }

    private mutating func mixEphemeral(_ key: [UInt8]) throws(HandshakeError) {
        symmetric.mixHash(key)
        guard pattern.hasPSK else { return }
        do { try symmetric.mixKey(key) } catch { throw .codec(error) }
    }

    /// One of the four key agreements, seen from this end.
    private mutating func agree(_ token: HandshakeToken) throws(HandshakeError) {
        let (usesOwnStatic, usesRemoteStatic) =
            switch (token, role) {
            case (.ss, _): (true, true)
            case (.es, .initiator), (.se, .responder): (false, true)
            case (.se, .initiator), (.es, .responder): (true, false)
            default: (false, false)
            }
        let remote = known(usesRemoteStatic ? remoteStatic : remoteEphemeral)
        let shared: Secret
        do {
            if usesOwnStatic {
                guard let identity else { preconditionFailure("a key agreement without a static key") }
                shared = try identity.privateKey.agree(with: remote)
            } else {
                shared = try ephemerals.dh.agree(with: remote)
            }
        } catch { throw .codec(error) }
        try mixKey(shared)
    }

    private mutating func mixPSK() throws(HandshakeError) {
        switch psk {
        case .none: preconditionFailure("psk without a key")
        case .some(let psk): do { try symmetric.mixKeyAndHash(psk) } catch { throw .codec(error) }
        }
    }

    private func encapsulate() throws(HandshakeError) -> KEM.Encapsulation {
        do { return try ephemerals.encapsulate(known(remoteEncapsulationKey)) } catch { throw .kem(error) }
    }

    private func decapsulate(
        _ ciphertext: [UInt8], with key: KEM.DecapsulationKey
    ) throws(HandshakeError) -> Secret {
        do { return try key.decapsulate(ciphertext) } catch { throw .kem(error) }
    }

    // MARK: Errors of the symmetric state, in this type's terms

    private mutating func mixKey(_ input: borrowing Secret) throws(HandshakeError) {
        do { try symmetric.mixKey(input) } catch { throw .codec(error) }
    }

    private mutating func encryptAndHash(_ plaintext: [UInt8]) throws(HandshakeError) -> [UInt8] {
        do { return try symmetric.encryptAndHash(plaintext) } catch { throw .codec(error) }
    }

    private mutating func decryptAndHash(_ ciphertext: [UInt8]) throws(HandshakeError) -> [UInt8] {
        do { return try symmetric.decryptAndHash(ciphertext) } catch { throw .codec(error) }
    }
}

/// The next `count` bytes of a message.
private func take(_ count: Int, from rest: inout ArraySlice<UInt8>) throws(HandshakeError) -> [UInt8] {
    guard rest.count >= count else { throw .tooShort }
    defer { rest = rest.dropFirst(count) }
    return [UInt8](rest.prefix(count))
}

/// A key that is known by now, after the pattern.
private func known(_ key: [UInt8]?) -> [UInt8] {
    guard let key else { preconditionFailure("a handshake pattern uses a key before it is known") }
    return key
}
