// Recorded RESUMEs: answered once, and never again while their epoch lasts.

import Codec
import Testing
import Wire

@testable import Pairing

@Suite("RESUMEs that were answered")
struct AnsweredResumesTests {
    private let ends = TestEnds(
        lifetimes: Lifetimes(epoch: .seconds(60), idle: .seconds(600), lifetime: .seconds(6000)))

    private func message(epoch: UInt32 = 0, _ seed: Int) -> ResumeMessage {
        ResumeMessage(
            conversationID: [UInt8](repeating: 1, count: 16), epoch: epoch, salt: [UInt8](repeating: 2, count: 16),
            ephemeral: [UInt8](repeating: 3, count: 32), commit: { _ in [UInt8](garbage: UInt64(seed), count: 16) },
            mac1: { _ in [UInt8](repeating: 4, count: 16) })
    }

    @Test("A RESUME is answered once, in its epoch and in the one of grace, and prolongs nothing by itself")
    func once() throws {
        var pair = try ends.pair()
        let moments = [5, 6, 59, 61, 119].map { ends.start + .seconds($0) }
        let first = try ResumeInitiator(conversation: &pair.device.conversation, identity: ends.device, at: ends.start)
        let other = try ResumeInitiator(conversation: &pair.device.conversation, identity: ends.device, at: ends.start)
        for (index, now) in moments.enumerated() {
            let refused = refusal { () throws(PairingError) in
                try ResumeResponder.authenticate(
                    ReceivedResume(first.message, server: ends.server.publicKey),
                    conversation: &pair.server.conversation, at: now)
            }
            #expect(refused == (index == 0 ? nil : .peer(.replayed)))
        }
        #expect(pair.server.conversation.lastUsed == ends.start)
        let fresh = refusal { () throws(PairingError) in
            try ResumeResponder.authenticate(
                ReceivedResume(other.message, server: ends.server.publicKey), conversation: &pair.server.conversation,
                at: moments[4])
        }
        #expect(fresh == nil, "another RESUME of the same epoch is none of its replays")
    }

    @Test("A RESUME that is not authentic is not remembered, so that nobody can use up what is remembered")
    func forged() throws {
        var pair = try ends.pair()
        let resume = try ResumeInitiator(conversation: &pair.device.conversation, identity: ends.device, at: ends.start)
        let forged = ends.withValidMac(resume.message.flipping(bit: 3, of: 30))
        for _ in 0..<2 {
            let refused = refusal { () throws(PairingError) in
                try ResumeResponder.authenticate(
                    ReceivedResume(forged, server: ends.server.publicKey), conversation: &pair.server.conversation,
                    at: ends.start)
            }
            #expect(refused == .peer(.notAuthentic))
        }
    }

    @Test("Of one epoch 4,096 are remembered, and the oldest is forgotten first")
    func bounded() {
        var answered = AnsweredResumes()
        for index in 0..<4096 { answered.add(message(index)) }
        #expect((0..<4096).allSatisfy { answered.contains(message($0)) })
        answered.add(message(4096))
        #expect(!answered.contains(message(0)))
        #expect((1...4096).allSatisfy { answered.contains(message($0)) })
    }

    @Test("What was answered in epochs that are over is forgotten, and nothing else")
    func epochs() {
        var answered = AnsweredResumes()
        for epoch in 0..<4 as Range<UInt32> { answered.add(message(epoch: epoch, Int(epoch))) }
        answered.forget(before: 2)
        #expect((0..<4).map { answered.contains(message(epoch: UInt32($0), $0)) } == [false, false, true, true])
    }
}
