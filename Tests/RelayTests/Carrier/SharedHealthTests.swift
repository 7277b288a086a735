import Glibc
import Settings
import Testing
import Wire

@testable import Relay

/// Time, keys and order on a shared carrier.
@Suite struct SharedHealthTests {
    private let settings = CommonSettings(heartbeat: .seconds(10), deadAfter: .seconds(30))

    @Test("CONFIRM is the first frame, though a stream opens at once, and OPEN and its bytes are in the first bundle")
    func confirmFirst() throws {
        let forger = try Forger(posingAs: .server)
        forger.carrier.due.insert(.confirm)
        forger.carrier.share()
        let (endpoint, application) = forger.bench.accepted()
        application.write([1, 2, 3])
        forger.carrier.openShared(
            OpenMessage(streamNumber: 1, source: .none, service: ServiceID("echo")!), for: endpoint)
        forger.settle()
        let frames = forger.received()
        try #require(frames.map(\.type) == [.confirm, .bundle])
        #expect(Forger.records(of: frames[1]) == [.open(1), .data(1, [1, 2, 3])])
    }

    @Test("What all streams say in one turn leaves in one frame, a record each")
    func oneBundle() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client, streams: 20)
        forger.settle()
        _ = forger.received()
        for (index, app) in apps.enumerated() { app.write([UInt8(index)]) }
        forger.settle()
        let frames = forger.received()
        #expect(frames.map(\.type) == [.bundle])
        let records = frames.flatMap(Forger.records).sorted { $0.stream < $1.stream }
        #expect(records == apps.indices.map { .data(UInt64($0) + 1, [UInt8($0)]) })
    }

    @Test("OPENs leave in the order of their numbers, though there was no room for the first")
    func openingOrder() throws {
        let forger = try Forger(posingAs: .server)
        forger.carrier.share()
        let first = try forger.sharedApp(1)
        #expect(forger.bench.turn { forger.receivedRecords() == [.open(1)] })
        let filler = try forger.fillLink()
        first.write([1])
        forger.settle()
        #expect(!forger.carrier.link.endpoint.writable)
        let second = try forger.sharedApp(2)
        while !forger.pour(filler) {}
        // As if the link's event came behind that of a listener.
        forger.carrier.link.endpoint.writable = true
        let third = try forger.sharedApp(3)
        var records: [Record] = []
        #expect(
            forger.bench.turn {
                records += forger.receivedRecords()
                return records.count >= 3
            })
        #expect(records == [.data(1, [1]), .open(2), .open(3)])
        withExtendedLifetime((second, third)) {}
    }

    @Test("A stream that gives up before its OPEN left does not hold up the next one's")
    func givesUpOpening() throws {
        let forger = try Forger(posingAs: .server)
        forger.carrier.share()
        let first = try forger.sharedApp(1)
        #expect(forger.bench.turn { forger.receivedRecords() == [.open(1)] })
        let filler = try forger.fillLink()
        first.write([1])
        forger.settle()
        let second = try forger.sharedApp(2)
        let third = try forger.sharedApp(3)
        forger.carrier.sharing?.streams[2]?.abort(.application(ECONNRESET))
        #expect(forger.bench.turn { forger.pour(filler) })
        var records: [Record] = []
        #expect(
            forger.bench.turn {
                records += forger.receivedRecords()
                return records.count >= 2
            })
        #expect(records == [.data(1, [1]), .open(3)])
        withExtendedLifetime((second, third)) {}
    }

    @Test("CREDIT is said for every half a window that was passed on, and not behind FIN")
    func credit() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client)
        var credits: [Record] = []
        for _ in 0..<16 {
            forger.say(.data(1, [UInt8](repeating: 1, count: 8192)))
            forger.settle()
            _ = apps[0].readAll()
            credits += forger.receivedRecords()
        }
        #expect(credits == (1...4).map { .credit(1, total: $0 * 32768) })
        forger.say(.data(1, [UInt8](repeating: 1, count: 16384)), .data(1, [UInt8](repeating: 1, count: 16383)))
        forger.say(.fin(1, total: 16 * 8192 + 32767))
        forger.settle()
        #expect(forger.receivedRecords().isEmpty)
    }

    @Test("A sender stops at its window and goes on with CREDIT")
    func stopsAtWindow() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .server)
        var generator = SeededGenerator(seed: 3)
        let bytes = generator.bytes(150_000)
        #expect(apps[0].write(bytes) == bytes.count)
        var received: [UInt8] = []
        func listen() {
            forger.settle()
            for record in forger.receivedRecords() where record.kind == .data { received += record.payload }
        }
        listen()
        #expect(received.count == 65536)
        forger.say(.credit(1, total: 1))
        listen()
        #expect(received.count == 65537)
        forger.say(.credit(1, total: 65537))
        listen()
        #expect(received.count == 131_073)
        forger.say(.credit(1, total: 131_073))
        listen()
        #expect(received == bytes)
    }

    @Test("A window's worth in one go makes a stream heavy, at the client to its owner, at the server by HEAVY")
    func heavy() throws {
        let bytes = [UInt8](repeating: 1, count: 100_000)
        let (client, applications) = try Forger.sharing(posingAs: .server)
        applications[0].write(bytes)
        client.settle()
        #expect(client.owner.calls.contains(.heavy(1)))
        let (server, targets) = try Forger.sharing(posingAs: .client)
        targets[0].write(bytes)
        server.settle()
        #expect(server.receivedRecords().contains(.heavy(1)))
        #expect(!server.owner.calls.contains(.heavy(1)))
        // The client's owner hears of it, and again with every further record, until it moves.
        let (told, quiet) = try Forger.sharing(posingAs: .server)
        told.say(.heavy(1), .data(1, [1]))
        told.settle()
        #expect(told.owner.calls.count { $0 == .heavy(1) } >= 2)
        withExtendedLifetime(quiet) {}
    }

    @Test("An idle shared carrier asks with PING, and is given up after the dead-peer time")
    func dead() throws {
        let forger = try Forger(posingAs: .server, settings: settings)
        forger.carrier.share()
        let application = try forger.sharedApp(1, .tcp)
        #expect(forger.bench.turn { forger.receivedRecords() == [.open(1)] })
        forger.bench.pass(.seconds(11))
        forger.settle()
        #expect(forger.received().map(\.type) == [.ping])
        for _ in 0..<18 { forger.bench.pass(.seconds(1)) }
        #expect(forger.carrier.phase == .shared)
        for _ in 0..<2 { forger.bench.pass(.seconds(1)) }
        #expect(forger.owner.lostBecause?.hasPrefix("nothing heard") == true)
        #expect(forger.bench.ending(application).then == .broken(TestSocket.connectionReset))
    }

    @Test("Two live ends never give each other up, with a stream that rests and without")
    func silence() throws {
        let tunnel = try Trunk(settings: settings)
        let stream = try tunnel.open()
        for _ in 0..<300 {
            tunnel.bench.pass(.seconds(1))
            tunnel.bench.turn()
        }
        try tunnel.greet(stream)
        stream.application.shutdownWrite()
        stream.target.shutdownWrite()
        for _ in 0..<300 {
            tunnel.bench.pass(.seconds(1))
            tunnel.bench.turn()
        }
        #expect(tunnel.client.sharedStreams == 0)
        tunnel.expectUnbroken()
    }

    @Test("Keys are exchanged while streams run, and no byte is lost", arguments: [Side.client, .server])
    func rekey(_ side: Side) throws {
        let never = RekeySettings(frames: .max / 4, bytes: .max / 4, every: .seconds(1_000_000_000))
        var often = never
        often.frames = 40
        let (one, other) = (CommonSettings(rekey: often), CommonSettings(rekey: never))
        let tunnel = try Trunk(
            settings: side == .client ? one : other, serverSettings: side == .client ? other : one)
        let streams = try (0..<5).map { _ in try tunnel.open() }
        tunnel.run(
            streams.enumerated().flatMap { index, stream in
                [
                    Flow(200_000, from: stream.application, to: stream.target, largest: 4000, seed: UInt64(index)),
                    Flow(200_000, from: stream.target, to: stream.application, largest: 4000, seed: UInt64(index) + 9),
                ]
            })
        tunnel.settle()
        #expect(tunnel.bench.shard.counters.rekeys >= 4)
        tunnel.expectUnbroken()
        #expect(tunnel.lent == 0)
    }

    @Test("A stalled application holds at most a window and the socket's own buffer, and the others go on")
    func stalled() throws {
        let tunnel = try Trunk()
        let (slow, quick) = (try tunnel.open(), try tunnel.open())
        var generator = SeededGenerator(seed: 12)
        let bytes = generator.bytes(2 << 20)
        var sent = 0
        while true {
            let count = slow.application.write(bytes[sent...])
            tunnel.settle()
            if count == 0 { break }
            sent += count
        }
        #expect(sent < bytes.count)
        #expect(tunnel.lent == 0, "nobody waits for the stalled one")
        for round in 0..<50 as Range<UInt8> {
            quick.application.write([round])
            tunnel.settle()
            #expect(quick.target.read() == .bytes([round]))
        }
        var received: [UInt8] = []
        #expect(
            tunnel.turn {
                received += slow.target.readAll().bytes
                return received.count == sent
            })
        #expect(received == Array(bytes[..<sent]))
        tunnel.expectUnbroken()
    }
}
