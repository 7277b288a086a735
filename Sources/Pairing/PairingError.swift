// Why a pairing or a resume did not come about, and whose fault it is.

package import Codec
package import Wire

/// Why the two ends do not get a carrier. A server tells strangers nothing of it: PAIR is answered with silence,
/// RESUME with REJECT.
package enum PairingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The peer, or somebody who changed its bytes on the way.
    case peer(PeerFault)
    /// This end.
    case local(LocalFault)

    /// What the peer did.
    package enum PeerFault: Equatable, Sendable {
        /// Its bytes are not the message that was due.
        case malformed(WireError)
        /// mac1 does not fit: it does not know this server's public key.
        case wrongMac
        /// A tag or a commit does not verify: it is not who it should be, has another psk or root, or the message was
        /// changed.
        case notAuthentic
        /// Its X25519 key gives an all-zero result.
        case weakPublicKey
        /// Its ML-KEM encapsulation key is not canonical.
        case invalidEncapsulationKey
        /// It proved to be this device, which is not configured.
        case unknownDevice(PublicKey)
        /// A lifetime of zero seconds.
        case illegalLifetimes
        /// RESUME names an epoch outside what the time since the pairing allows.
        case epochOutOfRange(UInt32)
        /// RESUME for a conversation whose time has passed.
        case conversationExpired
        /// RESUME was answered before: a recording.
        case replayed
    }

    /// What this end did, or could not do.
    package enum LocalFault: Equatable, Sendable {
        /// The conversation's time has passed: pair again.
        case conversationExpired
        /// The conversation belongs to another identity, or the message to another conversation.
        case wrongConversation
        /// A primitive failed for a reason of its own.
        case codec(CodecError)
        /// ML-KEM failed for a reason of its own.
        case kem
    }

    /// In words, for logs.
    package var description: String {
        switch self {
        case .peer(let fault): fault.text
        case .local(let fault): fault.text
        }
    }
}

extension PairingError.PeerFault {
    fileprivate var text: String {
        switch self {
        case .malformed(let error): "the other side sent \(error)"
        case .wrongMac: "the other side does not know this server's public key"
        case .notAuthentic:
            "the other side's message is not authentic: another key than the configured one, or it was changed on the way"
        case .weakPublicKey: "the other side sent an X25519 key that gives no secret"
        case .invalidEncapsulationKey: "the other side sent an ML-KEM key that is not valid"
        case .unknownDevice(let key): "unknown device \(key.text)"
        case .illegalLifetimes: "the other side named a conversation time of zero"
        case .replayed: "the other side sent a RESUME that was answered before"
        case .epochOutOfRange(let epoch): "the other side named epoch \(epoch), which is not due"
        case .conversationExpired: "the conversation is over"
        }
    }
}

extension PairingError.LocalFault {
    fileprivate var text: String {
        switch self {
        case .conversationExpired: "the conversation is over"
        case .wrongConversation: "the message belongs to another conversation or identity"
        case .codec(let error): "\(error)"
        case .kem: "ML-KEM failed"
        }
    }
}

extension PairingError {
    /// An error while reading what the peer sent.
    init(reading error: HandshakeError) {
        self =
            switch error {
            case .tooShort, .codec(.notAuthentic), .codec(.lengthOutOfRange), .kem(.invalidCiphertext):
                .peer(.notAuthentic)
            case .codec(.weakPublicKey): .peer(.weakPublicKey)
            case .codec(let error): .local(.codec(error))
            case .kem(.invalidEncapsulationKey): .peer(.invalidEncapsulationKey)
            case .kem(.failed): .local(.kem)
            }
    }

    /// An error of a key agreement or derivation.
    init(_ error: CodecError) {
        self = error == .weakPublicKey ? .peer(.weakPublicKey) : .local(.codec(error))
    }
}

/// Runs `body`, whose errors are about what the peer sent.
func reading<R: ~Copyable>(_ body: () throws(HandshakeError) -> R) throws(PairingError) -> R {
    do { return try body() } catch { throw PairingError(reading: error) }
}

/// Parses bytes of the peer.
func parsing<R>(_ body: () throws(WireError) -> R) throws(PairingError) -> R {
    do { return try body() } catch { throw .peer(.malformed(error)) }
}

/// Derives keys.
func deriving<R: ~Copyable>(_ body: () throws(CodecError) -> R) throws(PairingError) -> R {
    do { return try body() } catch { throw PairingError(error) }
}
