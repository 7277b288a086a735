// Every value derived from a handshake, with its label. HKDF is RFC 5869 with SHA-256; labels are ASCII.

internal import Codec

enum KeySchedule {
    /// Whether the keys belong to the connection the pairing ran on, or to a later one.
    enum Phase: UInt8 {
        case pairing = 0
        case resumed = 1
    }

    /// Which way frames go.
    enum Direction: UInt8 {
        case clientToServer = 0
        case serverToClient = 1
    }

    /// The only suite of version 1: X25519, ML-KEM-768, SHA-256, HMAC-DRBG, AES-256-GCM.
    static let suite: UInt8 = 1

    // MARK: From the pairing

    /// root_0, 32 bytes.
    static func root(_ handshake: borrowing HandshakeResult) throws(CodecError) -> Secret {
        let root = try HKDF.derive(
            salt: handshake.hash, ikm: handshake.chainingKey, info: ascii("oncewire/1 root"), count: 32)
        reveal(root)
        return root
    }

    /// The entropy of the pairing carrier: client to server 32, server to client 32.
    static func entropy(_ handshake: borrowing HandshakeResult) throws(CodecError) -> Secret {
        try HKDF.derive(
            salt: handshake.hash, ikm: handshake.chainingKey, info: ascii("oncewire/1 carrier entropy"), count: 64)
    }

    // MARK: From the root

    /// root_{e+1} from root_e, 32 bytes. The way back would be to invert HMAC.
    static func ratchet(_ root: borrowing Secret) throws(CodecError) -> Secret {
        let next = try HKDF.derive(salt: [], ikm: root, info: ascii("oncewire/1 ratchet"), count: 32)
        reveal(next)
        return next
    }

    /// The key of RESUME's commit, 32 bytes.
    static func resumeKey(root: borrowing Secret) throws(CodecError) -> Secret {
        try HKDF.derive(salt: [], ikm: root, info: ascii("oncewire/1 resume"), count: 32)
    }

    /// A commit: the first 16 bytes of HMAC-SHA-256.
    static func commit(key: borrowing Secret, _ covered: [UInt8]) -> [UInt8] {
        [UInt8](HMAC.authenticate(key: key, covered)[..<16])
    }

    /// t: the transcript of a resume, 32 bytes, public. `accept` is what ACCEPT's commit covers.
    static func transcript(resume: [UInt8], accept: [UInt8]) -> [UInt8] {
        SHA256.hash(resume, accept)
    }

    /// What the ends of a resumed carrier share.
    struct Resumed: ~Copyable {
        /// Client to server 32, server to client 32.
        let entropy: Secret
        /// The key of ACCEPT's commit, 32 bytes.
        let acceptKey: Secret
    }

    /// `ee`, `es`, `se`: the first letter is the client's key, the second the server's; e ephemeral, s static.
    static func resumed(
        root: borrowing Secret, ee: borrowing Secret, es: borrowing Secret, se: borrowing Secret, transcript: [UInt8]
    ) throws(CodecError) -> Resumed {
        let secrets = try HKDF.derive(
            salt: transcript, ikm: Secret.joined(root, ee, es, se), info: ascii("oncewire/1 carrier entropy"), count: 96
        )
        return Resumed(entropy: secrets.slice(0..<64), acceptKey: secrets.slice(64..<96))
    }

    // MARK: What frames need besides entropy

    /// The first 14 bytes of every frame nonce of the pairing carrier.
    static func prefix(handshakeHash: [UInt8], nonce: UInt64) -> [UInt8] {
        let nonce = (0..<8).map { UInt8(truncatingIfNeeded: nonce >> (56 - 8 * $0)) }
        return [UInt8](SHA256.hash(ascii("oncewire/1 prefix"), handshakeHash, nonce)[..<14])
    }

    /// The first 14 bytes of every frame nonce of a resumed carrier.
    static func prefix(transcript: [UInt8]) -> [UInt8] {
        [UInt8](SHA256.hash(ascii("oncewire/1 prefix"), transcript)[..<14])
    }

    /// The personalization value, 32 bytes: binds frames to one direction of one carrier between these two.
    static func personalization(
        _ direction: Direction, _ phase: Phase, transcript: [UInt8], device: PublicKey, server: PublicKey, epoch: UInt32
    ) -> [UInt8] {
        SHA256.hash(
            ascii("oncewire/1 personalization"), [suite, direction.rawValue, phase.rawValue], transcript, device.bytes,
            server.bytes, (0..<4).map { UInt8(truncatingIfNeeded: epoch >> (24 - 8 * $0)) })
    }

    private static func ascii(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

    private static func reveal(_ root: borrowing Secret) {
        #if DEBUG
            root.withUnsafeBytes { SecretAudit.reveal?("root", $0) }
        #endif
    }
}
