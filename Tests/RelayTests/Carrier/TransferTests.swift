import Testing
import Wire

@testable import Relay

@Suite struct TransferTests {
    static let sizes = [0, 1, 2047, 2048, 2049, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1 << 20]

    @Test("What is written at one end arrives in order at the other, for every size", arguments: sizes)
    func towardsTarget(_ size: Int) throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open()
        tunnel.run(
            Flow(size, from: stream.application, to: stream.target, largest: 1 << 20, seed: 1),
            Flow(0, from: stream.target, to: stream.application, largest: 1, seed: 2))
        tunnel.settle()
        #expect(tunnel.isIdle)
        let counters = tunnel.bench.shard.counters
        #expect(counters.bytesOut == UInt64(size) && counters.bytesIn == UInt64(size))
        #expect(counters.streams == 2 && counters.streamsOpen == 0 && counters.brokenStreams == 0)
    }

    @Test("It arrives in the other direction as well", arguments: sizes)
    func towardsApplication(_ size: Int) throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open()
        tunnel.run(
            Flow(0, from: stream.application, to: stream.target, largest: 1, seed: 1),
            Flow(size, from: stream.target, to: stream.application, largest: 1 << 20, seed: 2))
        tunnel.settle()
        #expect(tunnel.isIdle)
    }

    @Test(
        "Pieces of any size, in both directions at once, arrive unchanged",
        arguments: [
            (5_000, 1), (9_000, 7), (60_000, 100), (200_000, 2_049), (500_000, 66_000), (1_000_000, 300_000),
        ], [Connection.unix, .tcp])
    func bothDirections(_ sizes: (total: Int, largest: Int), _ kind: Connection) throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            let tunnel = try Tunnel(link: kind)
            let stream = try tunnel.open(kind)
            tunnel.run(
                Flow(sizes.total, from: stream.application, to: stream.target, largest: sizes.largest, seed: seed),
                Flow(sizes.total / 2, from: stream.target, to: stream.application, largest: sizes.largest, seed: ~seed))
            #expect(tunnel.turn { tunnel.isIdle })
        }
    }

    @Test("What the application sent before its stream was open leaves with OPEN, and waits for the target")
    func earlyBytes() throws {
        let tunnel = try Tunnel()
        var generator = SeededGenerator(seed: 3)
        let bytes = generator.bytes(100_000)
        let application = tunnel.ask(sending: bytes)
        application.shutdownWrite()
        tunnel.settle()
        #expect(tunnel.server.phase == .dialing)
        #expect(tunnel.serverOwner.opened.map(\.streamNumber) == [1])
        let target = try tunnel.connectTarget()
        tunnel.settle()
        #expect(target.readAll() == (bytes, .ended))
    }

    @Test("OPEN brings the source's address and the service's name")
    func open() throws {
        let tunnel = try Tunnel()
        let expected = tunnel.nextOpen()
        let (endpoint, application) = tunnel.bench.connection()
        tunnel.client.open(expected, for: endpoint)
        tunnel.settle()
        #expect(tunnel.serverOwner.opened == [expected])
        #expect(application.read() == .nothingYet)
    }

    @Test("Small writes one turn apart arrive one by one")
    func pingPong() throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open()
        for round in 0..<200 as Range<UInt8> {
            stream.application.write([round])
            tunnel.settle()
            #expect(stream.target.read() == .bytes([round]))
            stream.target.write([~round, round])
            tunnel.settle()
            #expect(stream.application.read() == .bytes([~round, round]))
            #expect(tunnel.lent == 0)
        }
    }
}
