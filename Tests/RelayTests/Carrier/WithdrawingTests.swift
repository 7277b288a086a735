// WITHDRAW and WITHDRAWN on one carrier: who may say what, and when.
import Testing
import Wire

@testable import Relay

@Suite struct WithdrawingTests {
    private func numbers(_ all: [UInt64]) -> [UInt8] { all.flatMap { bigEndian($0) } }

    @Test(
        "A server answers with the streams that have begun, on an idle carrier and on a shared one", arguments: [0, 1])
    func answers(_ streams: Int) throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client, streams: streams)
        forger.owner.begun = [3, 5]
        forger.send(.withdraw, numbers([2, 3, 4, 5]))
        var answer: [UInt8]?
        #expect(
            forger.bench.turn {
                answer = forger.received().first { $0.type == .withdrawn }?.plaintext
                return answer != nil
            })
        #expect(answer == numbers([3, 5]))
        #expect(forger.owner.calls.contains(.withdraws([2, 3, 4, 5])))
        // And the next one.
        forger.send(.withdraw, numbers([9]))
        #expect(forger.bench.turn { forger.received().contains { $0.type == .withdrawn && $0.plaintext.isEmpty } })
        withExtendedLifetime(apps) {}
    }

    @Test("A client asks on an idle carrier and on a shared one, and hears the answer", arguments: [0, 1])
    func asks(_ streams: Int) throws {
        let (forger, apps) = try client(streams)
        #expect(forger.carrier.mayWithdraw)
        forger.carrier.withdraw([7, 8])
        #expect(!forger.carrier.mayWithdraw, "one question at a time")
        var question: [UInt8]?
        #expect(
            forger.bench.turn {
                question = forger.received().first { $0.type == .withdraw }?.plaintext
                return question != nil
            })
        #expect(question == numbers([7, 8]))
        forger.send(.withdrawn, numbers([8]))
        #expect(forger.bench.turn { forger.owner.calls.contains(.withdrew([7, 8], butNot: [8])) })
        #expect(forger.carrier.mayWithdraw)
        withExtendedLifetime(apps) {}
    }

    private func client(_ streams: Int) throws -> (Forger, [TestSocket]) {
        guard streams == 0 else { return try Forger.sharing(posingAs: .server, streams: streams) }
        return (try Forger(posingAs: .server), [])
    }

    @Test(
        "An answer that nobody asked for, or of streams that were not asked about, ends the carrier",
        arguments: [0, 1, 2])
    func forged(_ kind: Int) throws {
        let (forger, apps) = try client(1)
        if kind > 0 {
            forger.carrier.withdraw([7])
            #expect(forger.bench.turn { forger.received().contains { $0.type == .withdraw } })
        }
        if kind == 2 { forger.send(.withdrawn, []) }
        forger.send(.withdrawn, kind == 1 ? numbers([6]) : [])
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.contains("WITHDRAWN") == true)
        withExtendedLifetime(apps) {}
    }

    @Test("A server does not ask")
    func byServer() throws {
        let (forger, apps) = try client(1)
        forger.send(.withdraw, numbers([1]))
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.contains("WITHDRAW out of place") == true)
        withExtendedLifetime(apps) {}
    }

    @Test("A client that asks again before it was answered, because it reads nothing, is not remembered for")
    func flood() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client)
        let filler = try forger.fillLink()
        forger.send(.withdraw, numbers([1]))
        forger.send(.withdraw, numbers([2]))
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.contains("WITHDRAW out of place") == true)
        withExtendedLifetime((apps, filler)) {}
    }

    @Test("A stream that begins anew sends all it has again, though the server takes it before all has found room")
    func takenEarly() throws {
        let (forger, _) = try Forger.sharing(posingAs: .server, streams: 0)
        forger.settle()
        // In one turn others say so much that the region has room for some of it only.
        var others: [TestSocket] = []
        for number in 1...UInt64(14) {
            let (endpoint, app) = forger.bench.accepted()
            app.write([UInt8](repeating: 0, count: RecordHeader.maxData))
            forger.carrier.openShared(opening(number), for: endpoint)
            others.append(app)
        }
        var generator = SeededGenerator(seed: 7)
        let bytes = generator.bytes(Int(RecordHeader.window))
        let first = FirstBytes(opening(100), now: forger.bench.shard.now)
        try #require(bytes.withUnsafeBytes { first.keep($0.baseAddress!, $0.count) })
        first.didNotBegin(.withdrawn)
        let (endpoint, app) = forger.bench.accepted()
        forger.carrier.openShared(opening(100), for: endpoint, beginning: first)
        try #require(first.unsaid > 0 && first.unsaid < bytes.count, "some has found room, and some has not")
        forger.bench.turn()
        try #require(first.unsaid > 0, "the link is full")
        forger.say(.data(100, [1]))
        #expect(forger.bench.turn { app.read() == .bytes([1]) })
        let stream = try #require(forger.carrier.sharing?.streams[100])
        #expect(!stream.canBeginAnew && !stream.mayMove, "it is taken, and not all has gone out")
        var received: [UInt8] = []
        #expect(
            forger.bench.turn {
                for record in forger.receivedRecords() where record.kind == .data && record.stream == 100 {
                    received += record.payload
                }
                return received.count >= bytes.count
            })
        #expect(received == bytes)
        #expect(stream.mayMove)
        withExtendedLifetime(others) {}
    }

    private func opening(_ number: UInt64) -> OpenMessage {
        OpenMessage(streamNumber: number, source: .none, service: ServiceID("echo")!)
    }

    @Test("REFUSED because it was withdrawn gives the stream back with all its bytes", arguments: [true, false])
    func refused(_ shares: Bool) throws {
        let forger = try Forger(posingAs: .server)
        let (endpoint, app) = forger.bench.accepted()
        let message = OpenMessage(streamNumber: 4, source: .none, service: ServiceID("echo")!)
        app.write([1, 2, 3])
        if shares {
            forger.carrier.share()
            forger.carrier.openShared(message, for: endpoint)
            forger.settle()
            #expect(forger.carrier.openings == [4])
            forger.say(.refused(4, .withdrawn))
        } else {
            forger.carrier.open(message, for: endpoint)
            forger.settle()
            #expect(forger.carrier.openings == [4])
            forger.send(.refused, [CloseReason.withdrawn.rawValue])
        }
        #expect(forger.bench.turn { forger.owner.calls.contains(.givenBack(3)) })
        #expect(forger.carrier.openings == [])
    }
}
