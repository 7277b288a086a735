// The server's end of a resume, in two steps. First comes what is cheap and needs the conversation. The key
// agreements after it need it no longer, so they run without holding the vault's lock.

package import Codec
internal import Wire

/// A RESUME that comes from somebody who knows this server's public key.
package struct ReceivedResume: Sendable {
    let message: ResumeMessage
    let server: PublicKey

    /// Reads 104 bytes and checks their mac1, which costs two hashes.
    package init(_ bytes: [UInt8], server: PublicKey) throws(PairingError) {
        message = try parsing { () throws(WireError) in try ResumeMessage(parsing: bytes) }
        guard Mac1.isValid(bytes, count: ResumeMessage.size, server: server) else { throw .peer(.wrongMac) }
        self.server = server
    }

    /// The conversation that it asks for, to look it up.
    package var conversationID: ConversationID { ConversationID(bytes: message.conversationID) }
}

package enum ResumeResponder {
    /// Checks that the sender of RESUME holds the root of an epoch that is due, and that it was not answered before:
    /// hashes only. On success remembers it; on an error the conversation is as it was, except that its ratchet may
    /// have followed the time. Never a use of the conversation: that is the carrier's CONFIRM.
    package static func authenticate(
        _ resume: ReceivedResume, conversation: inout Conversation, at now: Moment
    ) throws(PairingError) -> AuthenticResume {
        let message = resume.message
        guard message.conversationID == conversation.id.bytes, resume.server == conversation.server else {
            throw .local(.wrongConversation)
        }
        guard !conversation.isExpired(at: now) else { throw .peer(.conversationExpired) }

        // After this at most two steps lie between the stored root and any epoch that is accepted. So a stranger
        // cannot make the server run the ratchet far.
        try conversation.ratchetLeavingGrace(at: now)
        let latest = conversation.dueEpoch(at: now).addingReportingOverflow(1)
        guard conversation.epoch <= message.epoch, latest.overflow || message.epoch <= latest.partialValue else {
            throw .peer(.epochOutOfRange(message.epoch))
        }
        guard !conversation.hasAnswered(message) else { throw .peer(.replayed) }
        let root = try conversation.root(of: message.epoch)
        let key = try deriving { () throws(CodecError) in try KeySchedule.resumeKey(root: root) }
        guard constantTimeEqual(KeySchedule.commit(key: key, message.coveredByCommit), message.commit) else {
            throw .peer(.notAuthentic)
        }
        conversation.willAnswer(message)
        return AuthenticResume(
            message: message, root: root, device: conversation.device, server: conversation.server)
    }

    /// Everything at once.
    package static func respond(
        to resume: [UInt8], conversation: inout Conversation, identity: Identity, at now: Moment
    ) throws(PairingError) -> ResumeResponse {
        let received = try ReceivedResume(resume, server: conversation.server)
        let authentic = try authenticate(received, conversation: &conversation, at: now)
        return try authentic.accept(identity: identity)
    }
}

/// A RESUME whose sender holds the root. Whether it also holds the device's private key shows only with the first
/// frame it sends on the carrier. A recorded RESUME comes this far, but no further.
package struct AuthenticResume: ~Copyable, Sendable {
    private let message: ResumeMessage
    private let root: Secret
    /// Whose conversation it is.
    package let device: PublicKey
    private let server: PublicKey

    init(message: ResumeMessage, root: consuming Secret, device: PublicKey, server: PublicKey) {
        self.message = message
        self.root = root
        self.device = device
        self.server = server
    }

    /// Makes ACCEPT and the carrier's keys: three key agreements.
    package consuming func accept(identity: Identity) throws(PairingError) -> ResumeResponse {
        try accept(identity: identity, salt: RandomBytes.bytes(16), ephemeral: X25519.PrivateKey())
    }

    /// The same with chosen values, for known answers.
    consuming func accept(
        identity: Identity, salt: [UInt8], ephemeral: consuming X25519.PrivateKey
    ) throws(PairingError) -> ResumeResponse {
        guard identity.publicKey == server else { throw .local(.wrongConversation) }
        let covered = AcceptMessage.coveredByCommit(salt: salt, ephemeral: ephemeral.publicKey)
        let transcript = KeySchedule.transcript(resume: message.bytes, accept: covered)
        let secrets = try deriving { () throws(CodecError) in
            try KeySchedule.resumed(
                root: root, ee: ephemeral.agree(with: message.ephemeral),
                es: identity.privateKey.agree(with: message.ephemeral), se: ephemeral.agree(with: device.bytes),
                transcript: transcript)
        }
        let reply = AcceptMessage(
            coveredByCommit: covered, commit: KeySchedule.commit(key: secrets.acceptKey, transcript))
        let context = CarrierContext(
            phase: .resumed, transcript: transcript, prefix: KeySchedule.prefix(transcript: transcript),
            device: device, server: server, epoch: message.epoch)
        return ResumeResponse(reply: reply.bytes, keys: context.keys(secrets.entropy, for: .server))
    }
}

/// The server's answer to RESUME and the keys of the new carrier. Frozen, so that other modules can take the parts out.
@frozen package struct ResumeResponse: ~Copyable, Sendable {
    /// ACCEPT, 68 bytes.
    package let reply: [UInt8]
    package var keys: CarrierKeys
}
