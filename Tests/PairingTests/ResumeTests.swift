// Further carriers of a conversation: across epochs, after expiry, and against thieves of one half of the secrets.

import Codec
import Testing
import Wire

@testable import Pairing

@Suite("Resuming a conversation")
struct ResumeTests {
    private let ends = TestEnds(
        lifetimes: Lifetimes(epoch: .seconds(60), idle: .seconds(600), lifetime: .seconds(6000)))

    private func epochs(_ count: Double) -> Moment { ends.start + .seconds(60 * count) }

    private func initiate(_ pair: inout TestPair, at now: Moment) throws(PairingError)
        -> ResumeInitiator
    {
        try ResumeInitiator(conversation: &pair.device.conversation, identity: ends.device, at: now)
    }

    private func respond(
        to resume: [UInt8], _ pair: inout TestPair, at now: Moment
    ) throws(PairingError) -> ResumeResponse {
        try ResumeResponder.respond(
            to: resume, conversation: &pair.server.conversation, identity: ends.server, at: now)
    }

    @Test("A resume gives both ends keys that cross, and every carrier its own")
    func good() throws {
        var pair = try ends.pair()
        var frames: Set<[UInt8]> = [try pair.device.keys.sending.frame(.data, [7])]
        for _ in 0..<3 {
            let initiator = try initiate(&pair, at: epochs(0.5))
            #expect(initiator.message.count == 104)
            let received = try ReceivedResume(initiator.message, server: ends.server.publicKey)
            #expect(received.conversationID == pair.server.conversation.id)
            var response = try respond(to: initiator.message, &pair, at: epochs(0.5))
            #expect(response.reply.count == 68)
            var keys = try initiator.receive(accept: response.reply)
            #expect(try understandEachOther(&keys, &response.keys))
            frames.insert(try keys.sending.frame(.data, [7]))
            frames.insert(try response.keys.sending.frame(.data, [7]))
        }
        #expect(frames.count == 7)
    }

    @Test("Ends resume across epochs, whether the server has swept meanwhile or not", arguments: [true, false])
    func acrossEpochs(isSwept: Bool) throws {
        var pair = try ends.pair()
        for epoch in [0, 1, 2, 5, 9] {
            let now = epochs(Double(epoch) + 0.5)
            pair.device.conversation.touch(at: now)
            pair.server.conversation.touch(at: now)
            if isSwept { try pair.server.conversation.ratchetLeavingGrace(at: now) }
            let initiator = try initiate(&pair, at: now)
            #expect(pair.device.conversation.epoch == UInt32(epoch))
            var response = try respond(to: initiator.message, &pair, at: now)
            var keys = try initiator.receive(accept: response.reply)
            #expect(try understandEachOther(&keys, &response.keys))
            #expect(pair.server.conversation.epoch == UInt32(max(0, epoch - 1)), "one epoch of grace")
        }
    }

    @Test(
        "A RESUME that was under way while an epoch ended is accepted, also behind a newer one; two epochs are too many"
    )
    func grace() throws {
        var pair = try ends.pair()
        let old = try initiate(&pair, at: epochs(3.9))
        let new = try initiate(&pair, at: epochs(4.1))
        var newer = try respond(to: new.message, &pair, at: epochs(4.1))
        var keys = try new.receive(accept: newer.reply)
        #expect(try understandEachOther(&keys, &newer.keys))

        let recorded = old.message
        var older = try respond(to: old.message, &pair, at: epochs(4.2))
        var oldKeys = try old.receive(accept: older.reply)
        #expect(try understandEachOther(&oldKeys, &older.keys))

        #expect(
            refusal { () throws(PairingError) in try respond(to: recorded, &pair, at: epochs(5)) }
                == .peer(.epochOutOfRange(3)))
    }

    @Test("A client whose clock is an epoch ahead is served, one that is further ahead is not")
    func ahead() throws {
        var pair = try ends.pair()
        let initiator = try initiate(&pair, at: epochs(1))
        var response = try respond(to: initiator.message, &pair, at: epochs(0.9))
        var keys = try initiator.receive(accept: response.reply)
        #expect(try understandEachOther(&keys, &response.keys))

        let far = try initiate(&pair, at: epochs(2)).message
        #expect(
            refusal { () throws(PairingError) in try respond(to: far, &pair, at: epochs(0.9)) }
                == .peer(.epochOutOfRange(2)))
    }

    @Test("An epoch at the end of its range is refused without running the ratchet there")
    func farEpoch() throws {
        var pair = try ends.pair()
        let message = try ResumeMessage(parsing: initiate(&pair, at: epochs(0)).message)
        for epoch in [2, 1_000_000, UInt32.max - 1, .max] {
            let forged = ResumeMessage(
                conversationID: message.conversationID, epoch: epoch, salt: message.salt, ephemeral: message.ephemeral,
                commit: { _ in message.commit }, mac1: { Mac1.code(of: $0, server: ends.server.publicKey) })
            #expect(
                refusal { () throws(PairingError) in try respond(to: forged.bytes, &pair, at: epochs(0)) }
                    == .peer(.epochOutOfRange(epoch)))
            #expect(pair.server.conversation.epoch == 0)
        }
    }

    @Test("An expired conversation is refused on both ends: idle")
    func idle() throws {
        var pair = try ends.pair()
        let last = try initiate(&pair, at: ends.start + .seconds(599)).message
        #expect(
            refusal { () throws(PairingError) in try initiate(&pair, at: ends.start + .seconds(600)) }
                == .local(.conversationExpired))
        #expect(
            refusal { () throws(PairingError) in try respond(to: last, &pair, at: ends.start + .seconds(600)) }
                == .peer(.conversationExpired))
    }

    @Test("A resume that is used keeps an idle conversation alive, but not beyond its lifetime")
    func lifetime() throws {
        var pair = try ends.pair()
        for minute in stride(from: 0, to: 6000, by: 500) {
            let now = ends.start + .seconds(minute)
            let initiator = try initiate(&pair, at: now)
            _ = try respond(to: initiator.message, &pair, at: now)
            pair.device.conversation.touch(at: now)
            pair.server.conversation.touch(at: now)
        }
        let last = try initiate(&pair, at: ends.start + .seconds(5999)).message
        #expect(
            refusal { () throws(PairingError) in try initiate(&pair, at: ends.start + .seconds(6000)) }
                == .local(.conversationExpired))
        #expect(
            refusal { () throws(PairingError) in try respond(to: last, &pair, at: ends.start + .seconds(6000)) }
                == .peer(.conversationExpired))
    }

    @Test("Any change to a bit of RESUME is refused, with its mac made right again too, and changes nothing")
    func tamperedResume() throws {
        var pair = try ends.pair()
        let resume = try initiate(&pair, at: epochs(0.5)).message
        for byte in resume.indices {
            for bit in 0..<8 {
                let changed = resume.flipping(bit: bit, of: byte)
                #expect((try? ReceivedResume(changed, server: ends.server.publicKey)) == nil)
                #expect(refusal { () throws(PairingError) in try respond(to: changed, &pair, at: epochs(0.5)) } != nil)
                guard byte < 88 else { continue }
                let repaired = ends.withValidMac(changed)
                let error = refusal { () throws(PairingError) in try respond(to: repaired, &pair, at: epochs(0.5)) }
                #expect(error != nil, "byte \(byte) bit \(bit)")
            }
        }
        #expect(pair.server.conversation.lastUsed == ends.start)
        #expect(pair.server.conversation.epoch == 0)
        #expect(throws: Never.self) { _ = try respond(to: resume, &pair, at: epochs(0.5)) }
        #expect(pair.server.conversation.lastUsed == ends.start, "answered, and no use before CONFIRM")
    }

    @Test("A RESUME that was checked for one server is not good for a conversation with another")
    func otherServer() throws {
        var pair = try ends.pair()
        let resume = try initiate(&pair, at: epochs(0)).message
        let other = Identity.generate().publicKey
        #expect(refusal { () throws(PairingError) in try ReceivedResume(resume, server: other) } == .peer(.wrongMac))
        let message = resume.dropLast(16)
        let received = try ReceivedResume(message + Mac1.code(of: [UInt8](message), server: other), server: other)
        let refused = refusal { () throws(PairingError) in
            try ResumeResponder.authenticate(received, conversation: &pair.server.conversation, at: epochs(0))
        }
        #expect(refused == .local(.wrongConversation))
    }

    @Test("Any change to a bit of ACCEPT is refused")
    func tamperedAccept() throws {
        var pair = try ends.pair()
        let (salt, dh) = ([UInt8](garbage: 4, count: 16), [UInt8](garbage: 5, count: 32))
        func again() throws(PairingError) -> ResumeInitiator {
            try ResumeInitiator(
                conversation: &pair.device.conversation, identity: ends.device, at: epochs(0), salt: salt,
                ephemeral: X25519.PrivateKey(Secret(copying: dh)))
        }
        let accept = try respond(to: again().message, &pair, at: epochs(0)).reply
        for byte in accept.indices {
            for bit in 0..<8 {
                let changed = accept.flipping(bit: bit, of: byte)
                let error = refusal { () throws(PairingError) in try again().receive(accept: changed) }
                #expect(error != nil, "byte \(byte) bit \(bit)")
            }
        }
        #expect(refusal { () throws(PairingError) in try again().receive(accept: accept) } == nil)
    }

    @Test("Messages of any other length, other kinds and garbage are refused")
    func malformed() throws {
        var pair = try ends.pair()
        let initiator = try initiate(&pair, at: epochs(0))
        let resume = initiator.message
        let accept = try respond(to: resume, &pair, at: epochs(0)).reply
        for count in 0...130 where count != resume.count {
            let other = [UInt8]((resume + [UInt8](repeating: 0, count: 30)).prefix(count))
            #expect((try? ReceivedResume(other, server: ends.server.publicKey)) == nil)
            #expect(refusal { () throws(PairingError) in try respond(to: other, &pair, at: epochs(0)) } != nil)
        }
        for count in 0...100 where count != accept.count {
            let other = [UInt8]((accept + [UInt8](repeating: 0, count: 40)).prefix(count))
            let fresh = try initiate(&pair, at: epochs(0))
            #expect(receiveRefusal(fresh, other) != nil)
        }
        for message in [resume, HandshakeMessage.reject] {
            let fresh = try initiate(&pair, at: epochs(0))
            #expect(receiveRefusal(fresh, message) != nil, "reflected, or REJECT taken for ACCEPT")
        }
        for seed in 0..<300 as Range<UInt64> {
            let garbage = HandshakeMessage.preamble(of: .resume) + [UInt8](garbage: seed, count: 100)
            #expect(
                refusal { () throws(PairingError) in try respond(to: ends.withValidMac(garbage), &pair, at: epochs(0)) }
                    != nil)
            let fresh = try initiate(&pair, at: epochs(0))
            #expect(
                receiveRefusal(fresh, HandshakeMessage.preamble(of: .accept) + [UInt8](garbage: seed, count: 64)) != nil
            )
        }
    }

    @Test("ACCEPT for another RESUME of the same conversation is refused")
    func replayedAccept() throws {
        var pair = try ends.pair()
        let recorded = try respond(to: initiate(&pair, at: epochs(0)).message, &pair, at: epochs(0)).reply
        #expect(receiveRefusal(try initiate(&pair, at: epochs(0)), recorded) == .peer(.notAuthentic))
    }

    @Test("A RESUME for one conversation is refused by another of the same two ends")
    func otherConversation() throws {
        var first = try ends.pair()
        var second = try ends.pair()
        let resume = try initiate(&first, at: epochs(0)).message
        #expect(
            refusal { () throws(PairingError) in try respond(to: resume, &second, at: epochs(0)) }
                == .local(.wrongConversation))
    }

    @Test("Who stole the root but not the device's key gets no keys, neither from the server nor to talk to it")
    func stolenFromDevice() throws {
        var pair = try ends.pair()
        let thief = Identity.generate()
        // The stolen root in a conversation of the thief's own key: the most the thief can do with it.
        var stolen = Conversation(
            id: pair.device.conversation.id, device: thief.publicKey, server: ends.server.publicKey,
            root: try pair.device.conversation.root(of: 0), lifetimes: ends.lifetimes, at: ends.start)
        let attempt = try ResumeInitiator(conversation: &stolen, identity: thief, at: ends.start)
        // The commit is right, so the server answers; but its keys include the real device's.
        let response = try respond(to: attempt.message, &pair, at: ends.start)
        #expect(receiveRefusal(attempt, response.reply) == .peer(.notAuthentic))
        #expect(
            refusal { () throws(PairingError) in
                try ResumeInitiator(conversation: &pair.device.conversation, identity: thief, at: ends.start)
            } == .local(.wrongConversation))
    }

    @Test("Who stole the root but not the server's key cannot pose as the server")
    func stolenFromServer() throws {
        var pair = try ends.pair()
        let thief = Identity.generate()
        var stolen = Conversation(
            id: pair.device.conversation.id, device: ends.device.publicKey, server: ends.server.publicKey,
            root: try pair.device.conversation.root(of: 0), lifetimes: ends.lifetimes, at: ends.start)
        let initiator = try initiate(&pair, at: ends.start)
        let message = try ResumeMessage(parsing: initiator.message)
        #expect(
            refusal { () throws(PairingError) in
                try ResumeResponder.respond(
                    to: initiator.message, conversation: &stolen, identity: thief, at: ends.start)
            } == .local(.wrongConversation))
        // The same without the courtesy of that check.
        let authentic = AuthenticResume(
            message: message, root: try stolen.root(of: 0), device: ends.device.publicKey, server: thief.publicKey)
        let reply = try authentic.accept(identity: thief).reply
        #expect(receiveRefusal(initiator, reply) == .peer(.notAuthentic))
    }

    @Test("Low-order ephemeral keys in RESUME and ACCEPT are refused")
    func lowOrder() throws {
        var pair = try ends.pair()
        let zero = [UInt8](repeating: 0, count: 32)
        let message = try ResumeMessage(parsing: initiate(&pair, at: ends.start).message)
        let key = try KeySchedule.resumeKey(root: pair.device.conversation.root(of: 0))
        let forged = ResumeMessage(
            conversationID: message.conversationID, epoch: 0, salt: message.salt, ephemeral: zero,
            commit: { KeySchedule.commit(key: key, $0) }, mac1: { Mac1.code(of: $0, server: ends.server.publicKey) })
        #expect(
            refusal { () throws(PairingError) in try respond(to: forged.bytes, &pair, at: ends.start) }
                == .peer(.weakPublicKey))
        let accept = AcceptMessage(
            coveredByCommit: AcceptMessage.coveredByCommit(salt: message.salt, ephemeral: zero),
            commit: [UInt8](repeating: 0, count: 16))
        #expect(receiveRefusal(try initiate(&pair, at: ends.start), accept.bytes) == .peer(.weakPublicKey))
    }

    @Test("The ratchet only moves forward, and a later root opens nothing of an earlier epoch")
    func ratchet() throws {
        var pair = try ends.pair()
        let before = try initiate(&pair, at: epochs(0)).message
        let root0 = try pair.device.conversation.root(of: 0)
        try pair.device.conversation.ratchet(to: 2)
        #expect(pair.device.conversation.epoch == 2)
        try pair.device.conversation.ratchet(to: 1)
        #expect(pair.device.conversation.epoch == 2)
        let root2 = try pair.device.conversation.root(of: 2)
        let expected = try KeySchedule.ratchet(KeySchedule.ratchet(root0))
        #expect(root2.exposed == expected.exposed)
        #expect(root2.exposed != root0.exposed)

        try pair.server.conversation.ratchet(to: 2)
        #expect(
            refusal { () throws(PairingError) in try respond(to: before, &pair, at: epochs(2)) }
                == .peer(.epochOutOfRange(0)))
    }

    @Test("Asking a conversation for the root of a past epoch stops the program: there is none to give")
    func pastRoot() async {
        await #expect(processExitsWith: .failure) {
            var pair = try TestEnds().pair()
            try pair.device.conversation.ratchet(to: 1)
            _ = try pair.device.conversation.root(of: 0)
        }
    }

    @Test("Time that goes backwards counts as none")
    func backwards() throws {
        let pair = try ends.pair()
        #expect(pair.device.conversation.dueEpoch(at: ends.start - .seconds(500)) == 0)
        let isExpired = pair.device.conversation.isExpired(at: ends.start - .seconds(500))
        #expect(!isExpired)
    }
}

/// The error of an initiator that receives `accept`.
private func receiveRefusal(_ initiator: consuming ResumeInitiator, _ accept: [UInt8]) -> PairingError? {
    do throws(PairingError) {
        _ = try initiator.receive(accept: accept)
        return nil
    } catch { return error }
}
