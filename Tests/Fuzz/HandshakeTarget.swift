// The five handshake messages. What is read must be written back as the same bytes; and each message is given to the end
// it is meant for, with the sums of it that a peer could make, so that what stands after them is reached.
import Codec
import Glibc
import Wire

@testable import Pairing

/// Any bytes as a handshake message, or as one of the two payloads within them.
final class HandshakeTarget: FuzzTarget {
    private let server = Identity(privateKey: fixedKey(1))
    private let device = Identity(privateKey: fixedKey(2))
    private let mint = ConversationIDMint(.generate())
    private let now = Moment(milliseconds: 1_700_000_000_000)
    private var atServer: Conversation
    private var atDevice: Conversation

    init() throws {
        let (server, device, now) = (server, device, now)
        let initiator = try PairInitiator(identity: device, server: server.publicKey)
        let response = try PairResponder.respond(
            to: initiator.message, identity: server, mint: mint, lifetimes: Lifetimes(), isKnown: { _ in true }, at: now
        )
        let reply = response.reply
        atServer = response.paired.conversation
        let paired = try initiator.receive(reply, at: now)
        atDevice = paired.conversation
    }

    private static func fixedKey(_ byte: UInt8) -> X25519.PrivateKey {
        let secret = Secret(count: 32)
        secret.withUnsafeMutableBytes { $0.copyBytes(from: [UInt8](repeating: byte, count: 32)) }
        return X25519.PrivateKey(secret)
    }

    func run(_ input: [UInt8]) {
        check(input)
        // Inputs seldom have the one length that their kind has, so they get it.
        guard let kind = try? HandshakeMessage.kind(ofPreamble: input) else { return }
        let missing = HandshakeMessage.size(of: kind) - input.count
        guard missing != 0 else { return }
        check(missing > 0 ? input + [UInt8](repeating: 0, count: missing) : [UInt8](input.dropLast(-missing)))
    }

    private func check(_ input: [UInt8]) {
        checkPayloads(input)
        guard let kind = try? HandshakeMessage.kind(ofPreamble: input) else { return }
        must(input.starts(with: HandshakeMessage.preamble(of: kind)), "a preamble that is written otherwise")
        switch kind {
        case .pair: checkPair(input)
        case .paired: checkPaired(input)
        case .resume: checkResume(input)
        case .accept: checkAccept(input)
        case .reject:
            must((input == HandshakeMessage.reject) == (input.count == 4), "two kinds of REJECT")
        }
    }

    private func checkPayloads(_ input: [UInt8]) {
        if let payload = try? PairPayload(parsing: input) { must(payload.bytes == input, "PAIR's payload") }
        guard let payload = try? PairedPayload(parsing: input) else { return }
        must(payload.bytes == input, "PAIRED's payload")
        guard let lifetimes = Lifetimes(payload) else { return }
        let id = ConversationID(bytes: payload.conversationID)
        let again = PairedPayload(id: id, nonce: payload.nonce, lifetimes: lifetimes)
        must(again == payload, "lifetimes that become others")
    }

    private func checkPair(_ input: [UInt8]) {
        guard let message = try? PairMessage(parsing: input) else {
            return must(!PairResponder.hasValidMac(input, server: server.publicKey), "no PAIR, and its mac1 is right")
        }
        let copy = PairMessage(noise: message.noise) { _ in message.mac1 }
        must(copy.bytes == input, "PAIR is written back as other bytes")
        let signed = PairMessage(noise: message.noise) { Mac1.code(of: $0, server: server.publicKey) }.bytes
        must(PairResponder.hasValidMac(signed, server: server.publicKey), "mac1 is not what it is")
        peerIsGuilty { () throws(PairingError) in
            let response = try PairResponder.respond(
                to: signed, identity: server, mint: mint, lifetimes: Lifetimes(), isKnown: { _ in true }, at: now)
            must((try? PairedMessage(parsing: response.reply)) != nil, "PAIRED that cannot be read")
        }
    }

    private func checkPaired(_ input: [UInt8]) {
        guard let message = try? PairedMessage(parsing: input) else { return }
        must(PairedMessage(noise: message.noise).bytes == input, "PAIRED is written back as other bytes")
        peerIsGuilty { () throws(PairingError) in
            let initiator = try PairInitiator(identity: device, server: server.publicKey)
            _ = try initiator.receive(input, at: now)
            must(false, "PAIRED for a PAIR that did not exist before is accepted")
        }
    }

    private func checkResume(_ input: [UInt8]) {
        guard let message = try? ResumeMessage(parsing: input) else {
            let received = try? ReceivedResume(input, server: server.publicKey)
            return must(received == nil, "no RESUME, and its mac1 is right")
        }
        let copy = ResumeMessage(
            conversationID: message.conversationID, epoch: message.epoch, salt: message.salt,
            ephemeral: message.ephemeral, commit: { _ in message.commit }, mac1: { _ in message.mac1 })
        must(copy == message, "RESUME is written back as other bytes")
        peerIsGuilty { () throws(PairingError) in
            let root = try atDevice.root(of: atDevice.epoch)
            guard let key = try? KeySchedule.resumeKey(root: root) else { return must(false, "no resume key") }
            let signed = ResumeMessage(
                conversationID: atServer.id.bytes, epoch: message.epoch, salt: message.salt,
                ephemeral: message.ephemeral, commit: { KeySchedule.commit(key: key, $0) },
                mac1: { Mac1.code(of: $0, server: server.publicKey) })
            let received = try ReceivedResume(signed.bytes, server: server.publicKey)
            let authentic = try ResumeResponder.authenticate(received, conversation: &atServer, at: now)
            must(message.epoch == atDevice.epoch, "RESUME of another epoch is accepted")
            let response = try authentic.accept(identity: server)
            must((try? AcceptMessage(parsing: response.reply)) != nil, "ACCEPT that cannot be read")
        }
    }

    private func checkAccept(_ input: [UInt8]) {
        guard let message = try? AcceptMessage(parsing: input) else { return }
        let covered = AcceptMessage.coveredByCommit(salt: message.salt, ephemeral: message.ephemeral)
        must(covered == message.coveredByCommit, "ACCEPT's fields are not what its commit covers")
        let copy = AcceptMessage(coveredByCommit: covered, commit: message.commit)
        must(copy == message, "ACCEPT is written back as other bytes")
        peerIsGuilty { () throws(PairingError) in
            let initiator = try ResumeInitiator(conversation: &atDevice, identity: device, at: now)
            _ = try initiator.receive(accept: input)
            must(false, "ACCEPT for a RESUME that did not exist before is accepted")
        }
    }

    /// What goes wrong with a peer's bytes is never this end's fault.
    private func peerIsGuilty(_ body: () throws(PairingError) -> Void) {
        do throws(PairingError) {
            try body()
        } catch {
            guard case .peer = error else { return must(false, "\(error)") }
            must(!error.description.isEmpty, "an error without words")
        }
    }

    // MARK: Seeds

    static var seeds: [(name: String, bytes: [UInt8])] {
        let server = Identity(privateKey: fixedKey(1))
        let device = Identity(privateKey: fixedKey(2))
        let now = Moment(milliseconds: 1_700_000_000_000)
        let payload = PairedPayload(
            conversationID: [UInt8](repeating: 7, count: 16), nonce: 1, epochSeconds: 900, idleSeconds: 3600,
            lifetimeSeconds: 86400)
        var seeds: [(name: String, bytes: [UInt8])] = [
            ("reject", HandshakeMessage.reject), ("pair-payload", PairPayload(pattern: .conversationOnceAndDone).bytes),
            ("paired-payload", payload.bytes),
        ]
        do {
            let pair = try PairInitiator(identity: device, server: server.publicKey)
            seeds.append(("pair", pair.message))
            let response = try PairResponder.respond(
                to: pair.message, identity: server, mint: ConversationIDMint(.generate()), lifetimes: Lifetimes(),
                isKnown: { _ in true }, at: now)
            let reply = response.reply
            seeds.append(("paired", reply))
            var atServer = response.paired.conversation
            let paired = try pair.receive(reply, at: now)
            var atDevice = paired.conversation
            let resume = try ResumeInitiator(conversation: &atDevice, identity: device, at: now)
            seeds.append(("resume", resume.message))
            let accepted = try ResumeResponder.respond(
                to: resume.message, conversation: &atServer, identity: server, at: now)
            seeds.append(("accept", accepted.reply))
        } catch { must(false, "\(error)") }
        return seeds
    }
}
