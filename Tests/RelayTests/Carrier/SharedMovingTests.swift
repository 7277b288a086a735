import Glibc
import Testing
import Wire

@testable import Relay

/// Many streams on a shared carrier, and those that leave it for one of their own.
@Suite struct SharedMovingTests {
    @Test("Many streams at once arrive whole and in order, both ways, and leave nothing behind")
    func manyStreams() throws {
        let tunnel = try Trunk()
        let flows = try (0..<12).flatMap { index in
            let stream = try tunnel.open()
            let seed = UInt64(index) * 2
            return [
                Flow(index * 20_000, from: stream.application, to: stream.target, largest: 30_000, seed: seed),
                Flow(
                    300_000 - index * 25_000, from: stream.target, to: stream.application, largest: 9000, seed: seed + 1
                ),
            ]
        }
        tunnel.run(flows)
        #expect(tunnel.client.sharedStreams == 0 && tunnel.server.sharedStreams == 0)
        #expect(tunnel.lent == 0 && tunnel.bench.shard.counters.streamsOpen == 0)
        tunnel.expectUnbroken()
    }

    @Test("More streams with much to say at once than a region has room for", arguments: [16, 17, 20, 64, 200])
    func crowd(_ count: Int) throws {
        let tunnel = try Trunk()
        let streams = try (0..<count).map { _ in try tunnel.open() }
        let flows = streams.enumerated().flatMap { index, stream in
            [
                Flow(150_000, from: stream.application, to: stream.target, largest: 100_000, seed: UInt64(index)),
                Flow(40_000, from: stream.target, to: stream.application, largest: 40_000, seed: UInt64(index) + 999),
            ]
        }
        tunnel.run(flows)
        #expect(tunnel.client.sharedStreams == 0 && tunnel.server.sharedStreams == 0 && tunnel.lent == 0)
        tunnel.expectUnbroken()
    }

    @Test("Of many streams that never pause none waits for another's second piece")
    func turns() throws {
        let tunnel = try Trunk()
        let streams = try (0..<100).map { _ in try tunnel.open() }
        let flood = [UInt8](repeating: 1, count: 100_000)
        var received = [Int](repeating: 0, count: streams.count)
        let all = streams.count * RecordHeader.maxData * 3
        #expect(
            tunnel.turn {
                for (index, stream) in streams.enumerated() {
                    stream.application.write(flood)
                    received[index] += stream.target.readAll().bytes.count
                }
                return received.reduce(0, +) >= all
            })
        #expect(received.min()! >= RecordHeader.maxData, "\(received)")
        tunnel.expectUnbroken()
    }

    @Test("A heavy stream moves at any moment, every byte arrives, and its carrier is idle again", arguments: 0..<12)
    func move(_ round: Int) throws {
        let tunnel = try Trunk()
        let (heavy, light) = (try tunnel.open(), try tunnel.open())
        try tunnel.greet(heavy)
        let seed = UInt64(round)
        let flows = [
            Flow(
                round % 3 == 0 ? 100 : 1_500_000, from: heavy.application, to: heavy.target, largest: 200_000,
                seed: seed),
            Flow(
                round % 3 == 1 ? 100 : 1_500_000, from: heavy.target, to: heavy.application, largest: 200_000,
                seed: seed + 100),
            Flow(20_000, from: light.application, to: light.target, largest: 100, seed: seed),
            Flow(20_000, from: light.target, to: light.application, largest: 100, seed: seed + 100),
        ]
        var rounds = 0
        var pair: Trunk.Pair?
        tunnel.run(flows) {
            rounds += 1
            if rounds == 1 + round * 2 { pair = tunnel.move(heavy) }
        }
        tunnel.settle()
        let own = try #require(pair)
        #expect(own.isIdle && own.clientOwner.timesIdle == 1)
        #expect(own.serverOwner.calls.count == 2, "it took over, and was idle again")
        #expect(tunnel.lent == 0 && tunnel.bench.shard.counters.streamsOpen == 0)
        #expect(tunnel.client.sharedStreams == 0 && tunnel.server.sharedStreams == 0)
        tunnel.expectUnbroken()
    }

    @Test("A stream moves with one direction ended, and the other goes on", arguments: [true, false])
    func halfClosed(_ clientFirst: Bool) throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open(.tcp)
        try tunnel.greet(stream)
        let (first, second) =
            clientFirst ? (stream.application, stream.target) : (stream.target, stream.application)
        first.shutdownWrite()
        #expect(tunnel.turn { second.read() == .ended })
        let own = try #require(tunnel.move(stream))
        tunnel.run([Flow(500_000, from: second, to: first, largest: 50_000, seed: 4)])
        #expect(tunnel.turn { own.isIdle })
        tunnel.expectUnbroken()
    }

    @Test("A stream whose target takes nothing moves with what waits for it, in order")
    func backlogMoves() throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open()
        try tunnel.greet(stream)
        let bytes = [UInt8]((0..<600_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
        var sent = stream.application.write(bytes)
        tunnel.settle()
        let own = try #require(tunnel.move(stream))
        tunnel.settle()
        var received: [UInt8] = []
        #expect(
            tunnel.turn {
                if sent < bytes.count { sent += stream.application.write(bytes[sent...]) }
                received += stream.target.readAll().bytes
                return received.count == bytes.count
            })
        #expect(received == bytes)
        stream.application.shutdownWrite()
        stream.target.shutdownWrite()
        #expect(tunnel.turn { own.isIdle })
        tunnel.expectUnbroken()
    }

    @Test("MOVE of a stream that is over is answered by STAYS, and the carrier is idle again")
    func stays() throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open(.tcp)
        stream.application.write([1])
        stream.target.write([2])
        #expect(tunnel.turn { tunnel.atClient(stream)?.mayMove == true })
        tunnel.atServer(stream)?.abort(.target(ECONNRESET))
        let own = try #require(tunnel.move(stream))
        #expect(tunnel.turn { own.isIdle })
        #expect(own.clientOwner.timesIdle == 1 && tunnel.client.sharedStreams == 0)
        #expect(tunnel.bench.ending(stream.application).then == .broken(TestSocket.connectionReset))
    }

    @Test(
        "When the carrier it moves to breaks, the stream is reset and the shared carrier goes on",
        arguments: [Side.client, .server], 0..<5)
    func brokenMove(_ side: Side, _ turns: Int) throws {
        let tunnel = try Trunk(targets: .tcp)
        let (moving, other) = (try tunnel.open(.tcp), try tunnel.open(.tcp))
        try greetOverTCP(moving, tunnel)
        let own = try #require(tunnel.move(moving))
        for _ in 0..<turns { tunnel.bench.turn() }
        (side == .client ? own.client : own.server).lost(.link(.hostGone))
        for end in [moving.application, moving.target] {
            #expect(tunnel.bench.ending(end).then == .broken(TestSocket.connectionReset))
        }
        tunnel.run([Flow(10_000, from: other.application, to: other.target, largest: 500, seed: 1)])
        #expect(tunnel.client.phase == .shared && tunnel.server.phase == .shared && tunnel.lent == 0)
    }

    @Test(
        "When the shared carrier breaks while a stream moves, both its ends are reset or it has moved", arguments: 0..<6
    )
    func brokenWhileMoving(_ turns: Int) throws {
        let tunnel = try Trunk(targets: .tcp)
        let stream = try tunnel.open(.tcp)
        try greetOverTCP(stream, tunnel)
        let own = try #require(tunnel.move(stream))
        for _ in 0..<turns { tunnel.bench.turn() }
        let hasMoved = tunnel.atClient(stream) == nil && tunnel.atServer(stream) == nil
        tunnel.client.lost(.link(.hostGone))
        tunnel.server.lost(.link(.hostGone))
        if hasMoved {
            tunnel.run([
                Flow(50_000, from: stream.application, to: stream.target, largest: 5000, seed: 1),
                Flow(50_000, from: stream.target, to: stream.application, largest: 5000, seed: 2),
            ])
            #expect(tunnel.turn { own.isIdle })
        } else {
            for end in [stream.application, stream.target] {
                #expect(tunnel.bench.ending(end).then == .broken(TestSocket.connectionReset))
            }
        }
        #expect(tunnel.turn { tunnel.bench.shard.counters.streamsOpen == 0 && tunnel.lent == 0 })
    }

    @Test("An application that gave up before its OPEN left has no stream at either end for long")
    func gaveUp() throws {
        let tunnel = try Trunk()
        _ = try tunnel.open()
        let (endpoint, application) = tunnel.bench.accepted(.tcp)
        application.reset()
        endpoint.failed = true
        tunnel.client.openShared(
            OpenMessage(streamNumber: 9, source: .none, service: ServiceID("echo")!), for: endpoint)
        tunnel.settle()
        #expect(tunnel.client.sharedStreams == 1 && tunnel.server.sharedStreams == 1)
        tunnel.expectCarriersUnbroken()
    }

    private func greetOverTCP(_ stream: Trunk.Stream, _ tunnel: Trunk) throws {
        stream.application.write([1])
        stream.target.write([2])
        try #require(tunnel.turn { stream.target.read() == .bytes([1]) })
        try #require(tunnel.turn { stream.application.read() == .bytes([2]) })
    }
}
