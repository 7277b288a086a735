import Glibc
import Settings
import Testing
import Wire

@testable import Pairing
@testable import Relay
@testable import Vault

/// What a server grants one device and no more, and what it checks before it serves a stream.
@Suite struct LimitTests {
    private func isReset(_ application: TestSocket, _ bench: RolesBench) -> Bool {
        bench.turn { application.read() == .broken(TestSocket.connectionReset) }
    }

    @Test(
        "A device has so many streams and not one more, others have theirs, and a place that is free is given again",
        arguments: [CarrierChoice.shared, .own])
    func streams(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(devices: 2, carrier: carrier, deviceLimits: DeviceLimits(streams: 3))
        let streams = try (0..<3).map { _ in try bench.open(0) }
        #expect(bench.used(0).streams == 3)
        #expect(isReset(try bench.ask(0), bench))
        _ = try bench.open(1)
        #expect(bench.used(1).streams == 1)
        streams[0].application.reset()
        #expect(bench.turn { bench.used(0).streams == 2 })
        _ = try bench.open(0)
        #expect(bench.used(0).streams == 3)
        withExtendedLifetime(streams) {}
    }

    @Test(
        "Targets that take nothing cost a device its own streams: memory has a bound, others go on, and all comes back")
    func backlog() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client, streams: 6)
        let budget = DeviceBudget(DeviceLimits(backlog: 100 << 10))
        for stream in 1...6 as ClosedRange<UInt64> {
            forger.carrier.sharing?.streams[stream]?.place = StreamPlace(budget)
        }
        #expect(budget.used == (6, 0) && budget.refusal == nil)
        var aborted: [Record] = []
        for stream in 1...5 as ClosedRange<UInt64> {
            aborted += pour(into: stream, forger)
            #expect(budget.used.bytes <= 100 << 10)
        }
        // Each waits with half a window at least.
        #expect(!aborted.isEmpty && aborted.count < 5)
        #expect(aborted.allSatisfy { $0.payload == [CloseReason.resourceExhausted.rawValue] }, "\(aborted)")
        #expect(forger.carrier.sharedStreams == 6 - aborted.count && budget.used.bytes > 50 << 10)
        forger.say(.data(6, [1, 2, 3]))
        forger.settle()
        #expect(apps[5].read() == .bytes([1, 2, 3]))
        // What the targets take in the end is not held any more.
        #expect(
            forger.bench.turn {
                for app in apps { _ = app.readAll() }
                return budget.used.bytes == 0
            })
        forger.carrier.end(.orderly)
        for app in apps { app.reset() }
        for _ in 0..<40 { forger.bench.pass(.seconds(1)) }
        #expect(budget.used == (0, 0))
    }

    /// Says as much of a stream as its window allows while its target takes nothing; returns its ABORT, if one comes.
    private func pour(into stream: UInt64, _ forger: Forger) -> [Record] {
        var (sent, credited) = (0, 0)
        while sent - credited < Int(RecordHeader.window) {
            let count = min(RecordHeader.maxData, Int(RecordHeader.window) - (sent - credited))
            forger.say(.data(stream, [UInt8](repeating: 5, count: count)))
            sent += count
            forger.settle()
            for record in forger.receivedRecords() where record.stream == stream {
                if record.kind == .abort { return [record] }
                if record.kind == .credit { credited = record.payload.suffix(4).reduce(0) { $0 << 8 | Int($1) } }
            }
        }
        return []
    }

    @Test("A device whose backlog is full gets no further stream until some of it has gone")
    func fullBacklog() {
        let budget = DeviceBudget(DeviceLimits(streams: 9, backlog: 100))
        let place = StreamPlace(budget)
        #expect(place.holds(99) && budget.refusal == nil)
        #expect(!place.holds(101) && budget.used == (1, 99), "what is refused is not counted")
        #expect(place.holds(100) && budget.refusal?.contains("backlog-per-device") == true)
        place.holds(0)
        #expect(budget.refusal == nil && budget.used == (1, 0))
    }

    @Test("Streams that are given up while their targets take nothing still count, until the bytes have gone")
    func givenUp() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client)
        let budget = DeviceBudget(DeviceLimits())
        forger.carrier.sharing?.streams[1]?.place = StreamPlace(budget)
        _ = pour(into: 1, forger)
        let held = budget.used.bytes
        forger.say(.abort(1, .applicationReset))
        forger.settle()
        #expect(held > 0 && forger.carrier.sharedStreams == 0 && budget.used == (1, held))
        for _ in 0..<40 { forger.bench.pass(.seconds(1)) }
        #expect(budget.used == (0, 0))
        withExtendedLifetime(apps) {}
    }

    @Test("What a carrier of one stream had not written counts too when the stream is given up, or is thrown away")
    func givenUpOnItsOwn() throws {
        for limit in [1 << 20, 1] {
            let forger = try Forger(posingAs: .client)
            forger.send(.confirm)
            forger.open()
            let target = try forger.connectApp()
            let budget = DeviceBudget(DeviceLimits(backlog: limit))
            forger.carrier.place = StreamPlace(budget)
            for _ in 0..<20 where !forger.carrier.isStalled {
                forger.data([UInt8](repeating: 5, count: 60_000))
                forger.settle()
            }
            try #require(forger.carrier.isStalled)
            forger.carrier.abort(.target(ECONNRESET))
            forger.settle()
            #expect(limit == 1 ? budget.used == (0, 0) : budget.used.streams == 1 && budget.used.bytes > 0)
            for _ in 0..<40 { forger.bench.pass(.seconds(1)) }
            #expect(budget.used == (0, 0))
            withExtendedLifetime(target) {}
        }
    }

    @Test("A stream that moves takes its place and what it holds along")
    func moves() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client)
        let budget = DeviceBudget(DeviceLimits())
        let stream = try #require(forger.carrier.sharing?.streams[1])
        stream.place = StreamPlace(budget)
        let sent = forger.fillWindow(of: 1)
        let held = budget.used.bytes
        try #require(held > 0)
        var moved: MovingStream?
        stream.handOver(at: StreamProgress(total: UInt64(sent.count), hasEnded: false), to: Ticket()) { moved = $0 }
        #expect(moved != nil && forger.carrier.sharedStreams == 0 && budget.used == (1, held))
        moved = nil
        #expect(budget.used == (0, 0))
        withExtendedLifetime(apps) {}
    }

    @Test("Beyond limits.connections a shared carrier takes no further stream")
    func connections() throws {
        let bench = try RolesBench(connections: 8)
        let streams = try (0..<8).map { _ in try bench.open() }
        #expect(bench.server.roles[0].register.shared.reduce(0) { $0 + $1.sharedStreams } == 8)
        #expect(isReset(try bench.ask(), bench))
        #expect(bench.server.counters.streamsOpen == 8)
        withExtendedLifetime(streams) {}
    }

    @Test("No stream is served in a conversation that is over", arguments: [CarrierChoice.shared, .own])
    func expired(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let first = try bench.open()
        let role = bench.server.roles[0]
        let old = try #require(role.register.all.first?.peer.conversation)
        role.shared.vault.remove(old)
        let application = try bench.ask()
        // Where it is served, if it is at all, is another conversation.
        let isAnswered = bench.turn {
            let others = role.register.all.filter { $0.peer.conversation != old && $0.hasStream }
            return !others.isEmpty || application.read() == .broken(TestSocket.connectionReset)
        }
        #expect(isAnswered)
        let streams = role.register.all.filter { $0.peer.conversation == old }.reduce(0) {
            $0 + ($1.phase == .shared ? $1.sharedStreams : $1.hasStream ? 1 : 0)
        }
        #expect(streams == 1, "the one that was open before")
        withExtendedLifetime(first) {}
    }

    @Test("A carrier that is confirmed is a use of its conversation, though no stream comes")
    func confirmed() throws {
        let bench = try RolesBench()
        let role = bench.server.roles[0]
        #expect(bench.turn { bench.server.counters.resumes > 0 })
        let id = try #require(role.register.all.first?.peer.conversation)
        let isUsed = role.shared.vault.withConversation(id, at: role.shard.moment) { $0.lastUsed > $0.pairedAt }
        #expect(isUsed == true)
    }

    @Test("A stream is found by its number in its own conversation only")
    func search() throws {
        let bench = try RolesBench(devices: 2)
        _ = try bench.open(0)
        let role = bench.server.roles[0]
        let conversations = Set(role.register.all.map(\.peer.conversation))
        try #require(conversations.count == 2)
        let trunk = try #require(role.register.shared.first)
        let number = try #require(trunk.sharing?.streams.keys.first)
        for conversation in conversations {
            let found = role.sharedStream(number, of: conversation)
            #expect((found != nil) == (conversation == trunk.peer.conversation))
        }
    }

    @Test("A configured device may pair as often as it likes, strangers of the same place may not")
    func tokens() throws {
        // Three pair, and time gives no token back.
        let bench = try RolesBench(devices: 3, admission: AdmissionSettings(pairRate: 0, pairBurst: 1))
        #expect(bench.server.counters.pairings == 3)
    }
}
