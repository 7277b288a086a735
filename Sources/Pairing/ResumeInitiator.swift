// The client's end of a resume: made with RESUME ready to send, consumed by ACCEPT.
//
//      RESUME   ->  conversation id, epoch, salt, e, commit      mac1
//      ACCEPT   <-  salt, e, commit
//
// The carrier's entropy comes from the root, which both ends hold, and from three key agreements. ee makes every
// carrier its own secret, es and se bring in both identity keys. A stolen root without them yields nothing.

package import Codec
internal import Wire

/// A resume under way on the client. Everything secret in it is wiped when it has received ACCEPT or is dropped.
package struct ResumeInitiator: ~Copyable, Sendable {
    /// RESUME, 104 bytes.
    package let message: [UInt8]

    private let root: Secret
    private let ephemeral: X25519.PrivateKey
    private let identity: Identity
    private let server: PublicKey
    private let epoch: UInt32

    /// Asks for a further carrier of `conversation`, which is brought to the epoch due now; roots before it are wiped.
    package init(
        conversation: inout Conversation, identity: Identity, at now: Moment
    ) throws(PairingError) {
        try self.init(
            conversation: &conversation, identity: identity, at: now, salt: RandomBytes.bytes(16),
            ephemeral: X25519.PrivateKey())
    }

    /// The same with chosen values, for known answers.
    init(
        conversation: inout Conversation, identity: Identity, at now: Moment, salt: [UInt8],
        ephemeral: consuming X25519.PrivateKey
    ) throws(PairingError) {
        guard conversation.device == identity.publicKey else { throw .local(.wrongConversation) }
        guard !conversation.isExpired(at: now) else { throw .local(.conversationExpired) }
        try conversation.ratchet(to: conversation.dueEpoch(at: now))
        let server = conversation.server
        let epoch = conversation.epoch
        let root = try conversation.root(of: epoch)
        let commitKey = try deriving { () throws(CodecError) in try KeySchedule.resumeKey(root: root) }
        message =
            ResumeMessage(
                conversationID: conversation.id.bytes, epoch: epoch, salt: salt, ephemeral: ephemeral.publicKey,
                commit: { KeySchedule.commit(key: commitKey, $0) }, mac1: { Mac1.code(of: $0, server: server) }
            ).bytes
        self.root = root
        self.ephemeral = ephemeral
        self.identity = identity
        self.server = server
        self.epoch = epoch
    }

    /// Reads ACCEPT. When this returns, the server has proved that it holds the root and its private key, and that it
    /// answers this very RESUME.
    package consuming func receive(accept: [UInt8]) throws(PairingError) -> CarrierKeys {
        let accept = try parsing { () throws(WireError) in try AcceptMessage(parsing: accept) }
        let transcript = KeySchedule.transcript(resume: message, accept: accept.coveredByCommit)
        let secrets = try deriving { () throws(CodecError) in
            try KeySchedule.resumed(
                root: root, ee: ephemeral.agree(with: accept.ephemeral), es: ephemeral.agree(with: server.bytes),
                se: identity.privateKey.agree(with: accept.ephemeral), transcript: transcript)
        }
        let commit = KeySchedule.commit(key: secrets.acceptKey, transcript)
        guard constantTimeEqual(commit, accept.commit) else { throw .peer(.notAuthentic) }
        return CarrierContext(
            phase: .resumed, transcript: transcript, prefix: KeySchedule.prefix(transcript: transcript),
            device: identity.publicKey, server: server, epoch: epoch
        ).keys(secrets.entropy, for: .device)
    }
}
