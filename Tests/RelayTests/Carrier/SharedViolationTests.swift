import Testing
import Wire

@testable import Relay

/// What a peer with the right keys may not say on a shared carrier, and what it may though it sounds wrong. Stream 1
/// is open; applications are on TCP, so that a reset can be told from an orderly end.
@Suite struct SharedViolationTests {
    /// What is said behind three bytes of stream 1.
    struct Offence: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let commit: @Sendable (Forger) -> Void
        init(_ name: String, _ records: Record...) {
            testDescription = name
            commit = { $0.send(.bundle, records.flatMap(\.bytes)) }
        }
        init(_ name: String, raw: [UInt8]) {
            testDescription = name
            commit = { $0.send(.bundle, raw) }
        }
        init(_ name: String, _ commit: @escaping @Sendable (Forger) -> Void) {
            testDescription = name
            self.commit = commit
        }
        init(_ name: String, _ type: FrameType) {
            testDescription = name
            commit = { $0.send(type, Forger.plaintext(for: type)) }
        }
    }

    static let byEither = [
        Offence("FIN with too small a total", .fin(1, total: 2)),
        Offence("FIN with too large a total", .fin(1, total: 4)),
        Offence("FIN twice", .fin(1, total: 3), .fin(1, total: 3)),
        Offence("DATA behind FIN", .fin(1, total: 3), .data(1, [4])),
        Offence("CREDIT above what was sent", .credit(1, total: 3)),
        Offence("CREDIT backwards", .credit(1, total: 2), .credit(1, total: 1)),
        Offence("DATA of a stream never opened", .data(2, [1])),
        Offence("ABORT of a stream never opened", .abort(2, .applicationReset)),
        Offence("HEAVY of a stream never opened", .heavy(.max)),
        Offence("OPEN of a stream that is there", .open(1)),
        Offence("ABORT with an unknown reason", Record(.abort, 1, [99])),
        Offence("an unknown kind", raw: [4, 0, 0, 0] + bigEndian(UInt64(1))),
        Offence("a record's flags", raw: [8, 1, 0, 0] + bigEndian(UInt64(1))),
        Offence("a record that ends outside its bundle", raw: [2, 0, 0, 2] + bigEndian(UInt64(1)) + [1]),
        Offence("a rest that is no record", raw: Record.data(1, [1]).bytes + [2, 0, 0]),
        Offence("an empty DATA", raw: [2, 0, 0, 0] + bigEndian(UInt64(1))),
        Offence("DATA of no stream", raw: Record.data(0, [1]).bytes),
        Offence("a frame OPEN", .open), Offence("a frame DATA", .data), Offence("a frame FIN", .fin),
        Offence("a frame CLOSED", .closed), Offence("BYE with a stream", .bye), Offence("CONFIRM", .confirm),
        Offence("CONFIRMED", .confirmed), Offence("MOVE", .move), Offence("MOVED", .moved), Offence("STAYS", .stays),
    ]

    private func expectRefusal(_ role: Side, _ offence: Offence) throws {
        let (forger, apps) = try Forger.sharing(posingAs: role, apps: .tcp)
        // What the carrier sent: two bytes, so that one and two may be credited and three may not.
        apps[0].write([8, 9])
        var sent: [Record] = []
        try #require(
            forger.bench.turn {
                sent += forger.receivedRecords()
                return sent.contains(.data(1, [8, 9]))
            })
        forger.hold()
        forger.say(.data(1, [1, 2, 3]))
        offence.commit(forger)
        // Whatever follows an offence is never looked at, though it is authentic.
        forger.say(.data(1, [66, 66, 66]))
        forger.release()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true, "\(String(describing: forger.owner.ending))")
        let (seen, then) = forger.bench.ending(apps[0])
        // The record in front of the offence may be lost to the reset, but nothing behind it arrives.
        #expect(seen.isEmpty || seen == [1, 2, 3] || seen == [1, 2, 3, 1])
        #expect(then == .broken(TestSocket.connectionReset) || then == .ended)
        #expect(forger.bench.shard.regions.lent == 0)
        let counters = forger.bench.shard.counters
        // One offence opens a second stream first.
        #expect((1...2).contains(counters.brokenStreams) && counters.streamsOpen == 0 && counters.carriersOpen == 0)
    }

    @Test(
        "A client's offence ends the server's carrier, and the target sees a reset",
        arguments: byEither + [
            Offence("REFUSED", .refused(1, .targetRefused)), Offence("LEAVING", FrameType.leaving),
            Offence("OPEN of another number than its record's", Record(.open, 3, Forger.openPlaintext(2))),
            Offence("OPEN with options", Record(.open, 2, Forger.openPlaintext(2).with(8) { _ in 1 })),
            Offence("OPEN backwards", .open(3), .open(2)),
        ])
    func byClient(_ offence: Offence) throws { try expectRefusal(.client, offence) }

    @Test(
        "A server's offence ends the client's carrier, and the application sees a reset",
        arguments: byEither + [
            Offence("OPEN", .open(2)), Offence("LEAVING twice") { for _ in 0..<2 { $0.send(.leaving) } },
            Offence("REFUSED of a stream never opened", .refused(2, .targetRefused)),
        ])
    func byServer(_ offence: Offence) throws { try expectRefusal(.server, offence) }

    @Test("A peer that asks for streams and does not hear that they are refused is not remembered without end")
    func deaf() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.owner.onOpen = { $0.refuse(.serviceNotAllowed) }
        forger.settle()
        let filler = try forger.fillLink()
        var number: UInt64 = 0
        for _ in 0..<40 where forger.carrier.phase != .closed {
            forger.send(.bundle, (0..<200).flatMap { Record.open(number + 1 + UInt64($0)).bytes })
            number += 200
            #expect(forger.bench.turn { forger.carrier.phase == .closed || forger.owner.opensShared == number })
        }
        #expect(forger.owner.lostBecause == "protocol: it asks and does not listen")
        #expect((4096...8192).contains(forger.owner.opensShared))
        withExtendedLifetime(filler) {}
    }

    @Test("More bytes than MOVE counts end the shared carrier, whether they came before or come later")
    func moreThanCounted() throws {
        for (before, counted, later) in [(3, 2, 0), (3, 5, 3), (0, 0, 1)] {
            let (forger, apps) = try Forger.sharing(posingAs: .client, apps: .tcp)
            if before > 0 { forger.say(.data(1, [UInt8](repeating: 1, count: before))) }
            forger.settle()
            let stream = try #require(forger.carrier.sharing?.streams[1])
            var moved: MovingStream?
            stream.handOver(at: StreamProgress(total: UInt64(counted), hasEnded: false), to: Ticket()) { moved = $0 }
            if later > 0 { forger.say(.data(1, [UInt8](repeating: 2, count: later))) }
            forger.settle()
            #expect(forger.carrier.phase == .closed, "\(before) of \(counted), then \(later)")
            #expect(forger.owner.lostBecause?.hasPrefix("protocol: more came than") == true)
            withExtendedLifetime((apps, moved)) {}
        }
    }

    @Test("HEAVY by a client ends the carrier")
    func heavyByClient() throws { try expectRefusal(.client, Offence("HEAVY", .heavy(1))) }

    @Test("A window's worth that nobody took is no offence, and one byte more is", arguments: [Side.client, .server])
    func window(_ role: Side) throws {
        let (forger, apps) = try Forger.sharing(posingAs: role)
        // What the socket takes is credited; the window counts what was not.
        _ = forger.fillWindow(of: 1)
        #expect(forger.carrier.phase == .shared)
        forger.say(.data(1, [1]))
        forger.settle()
        #expect(forger.owner.lostBecause?.contains("window") == true)
        withExtendedLifetime(apps) {}
    }

    @Test("Late records of a stream that is over are passed over", arguments: [Side.client, .server])
    func late(_ role: Side) throws {
        let (forger, apps) = try Forger.sharing(posingAs: role, streams: 2, apps: .tcp)
        forger.say(.abort(1, .applicationReset))
        #expect(forger.bench.ending(apps[0]).then == .broken(TestSocket.connectionReset))
        forger.say(
            .data(1, [1]), .fin(1, total: 77), .credit(1, total: 88), .abort(1, .targetReset), .data(1, [1]),
            .heavy(1), .refused(1, .targetRefused), .data(2, [5, 6]))
        #expect(forger.bench.turn { apps[1].read() == .bytes([5, 6]) })
        #expect(forger.carrier.phase == .shared && forger.carrier.sharedStreams == 1)
        #expect(forger.received().isEmpty, "nothing is answered")
    }

    @Test("BUNDLE while a stream has the carrier to itself ends it", arguments: [Side.client, .server])
    func bundleInStream(_ role: Side) throws {
        let forger = try Forger(posingAs: role)
        if role == .client {
            forger.send(.confirm)
            forger.open()
        }
        let app = try forger.connectApp(.tcp)
        forger.say(.open(2))
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause == "protocol: BUNDLE out of place")
        #expect(forger.bench.ending(app).then == .broken(TestSocket.connectionReset))
    }

    @Test(
        "The first bundle of an idle carrier opens a stream, or the carrier ends",
        arguments: [2, 3, 6, 7, 8] as [UInt8])
    func firstRecord(_ raw: UInt8) throws {
        let kind = RecordKind(rawValue: raw)!
        let payloads: [RecordKind: [UInt8]] = [
            .data: [1], .fin: bigEndian(UInt64(0)), .abort: [1], .credit: bigEndian(UInt64(0)),
        ]
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.say(Record(kind, 1, payloads[kind] ?? []))
        forger.settle()
        #expect(forger.owner.calls == [.confirmed, .shared, .closed])
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
    }

    @Test("A stream that still waits for its target obeys the same rules", arguments: [0, 1])
    func dialing(_ number: Int) throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.say(.open(1), .data(1, [1, 2]))
        forger.settle()
        #expect(forger.owner.seekers.count == 1 && forger.owner.seekers[0].awaitsTarget)
        forger.say([.fin(1, total: 3), .credit(1, total: 1)][number])
        forger.settle()
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
        #expect(forger.owner.seekers[0].isOver && !forger.owner.seekers[0].awaitsTarget)
    }
}
