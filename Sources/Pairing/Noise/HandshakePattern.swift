// Noise rev 34 §7 and §9, with the two tokens of hybrid forward secrecy: handshakes as data.

/// One step within a handshake message.
enum HandshakeToken: Sendable {
    /// An ephemeral X25519 public key.
    case e
    /// A static X25519 public key, encrypted once there is a key.
    case s
    /// Key agreements: the first letter is the initiator's key, the second the responder's.
    case ee, es, se, ss
    /// The pre-shared key.
    case psk
    /// An ephemeral ML-KEM-768 encapsulation key, encrypted once there is a key.
    case e1
    /// A ciphertext under the other end's `e1`, encrypted; then its shared secret is mixed in.
    case ekem1
}

/// The messages of a handshake. The initiator writes the first, then the ends take turns.
struct HandshakePattern: Sendable {
    /// The whole protocol name, which begins the transcript.
    let protocolName: String
    /// Whether the responder knows the initiator's static key beforehand.
    var knowsInitiator = false
    /// Whether the initiator knows the responder's static key beforehand.
    var knowsResponder = false
    /// The tokens of each message.
    let messages: [[HandshakeToken]]

    /// In a handshake with a psk every `e` is also mixed into the chaining key (§9.2).
    var hasPSK: Bool { messages.contains { $0.contains(.psk) } }

    /// The handshake of PAIR and PAIRED. Without `e1`, `ekem1` and "hfs…+MLKEM768" it is IKpsk2.
    static let oncewire = HandshakePattern(
        protocolName: "Noise_IKhfspsk2_25519+MLKEM768_AESGCM_SHA256", knowsResponder: true,
        messages: [[.e, .e1, .es, .s, .ss], [.e, .ee, .ekem1, .se, .psk]])
}
