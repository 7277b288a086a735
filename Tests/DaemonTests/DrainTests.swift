// Stopping: SIGTERM lets what runs come to its end, for a while.

import Foundation
import Glibc
import Testing

@Suite("Drain", .timeLimit(.minutes(2)))
struct DrainTests {
    enum Side: CaseIterable { case client, server }

    @Test(
        "A transfer under way when a daemon gets SIGTERM completes; a server refuses new connections; exit 0",
        arguments: Side.allCases, [1000, 30_000_000])
    func completes(side: Side, already: Int) async throws {
        let count = 50_000_000
        try await withScene { scene in
            let gate = Gate()
            let service = try scene.service { connection in
                var pattern = Pattern(seed: 51)
                for _ in 0..<(already / 1000) { try connection.send(pattern.bytes(1000)) }
                gate.wait()
                for _ in 0..<((count - already) / 1000) { try connection.send(pattern.bytes(1000)) }
                try connection.finish()
                _ = try connection.receiveToEnd()
            }
            // The end of each test comes by itself: the drain time-out is far away.
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint).with { $0.drain = "60s" })
            let socket = try await tunnel.connect()
            let first = try await onThread { try socket.receive(exactly: already) }
            let isRight = first == Pattern.bytes(seed: 51, count: already)
            #expect(isRight)

            let stopping = side == .client ? tunnel.client : tunnel.server
            stopping.signal(SIGTERM)
            if side == .server {
                try await eventually("the server refuses new connections") {
                    try await refuses(tunnel.serverEndpoint)
                }
            } else {
                try await eventually("the client drains") { stopping.errors.contains("draining") }
            }
            #expect(stopping.end == nil)
            gate.open()
            let rest = try await onThread { try socket.digestToEnd() }
            #expect(rest == Pattern.digest(seed: 51, skipping: already, count: count - already))
            socket.close()
            #expect(try await stopping.waitForEnd() == .exited(0))
            try await tunnel.stop()
        }
    }

    private func refuses(_ endpoint: Endpoint) async throws -> Bool {
        do {
            try await onThread { try Socket.connect(to: endpoint) }.close()
            return false
        } catch let error as SocketError {
            return error.code == ECONNREFUSED
        }
    }

    @Test(
        "A client that drains serves new connections until its last stream has ended, and ends then",
        arguments: ["shared", "own"], ["1", "2"])
    func goesOnServing(carrier: String, shards: String) async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(
                TunnelPlan(to: echo.endpoint).with {
                    $0.drain = "60s"
                    $0.carrier = carrier
                    $0.shards = shards
                })
            let session = try await tunnel.connect()
            #expect(try await ping(session))
            tunnel.client.signal(SIGTERM)
            try await eventually("the client drains") { tunnel.client.errors.contains("draining") }
            for _ in 0..<20 { try await expectEcho(at: tunnel.endpoint(), count: 1000) }
            #expect(try await ping(session))
            #expect(tunnel.client.end == nil)
            session.close()
            #expect(try await tunnel.client.waitForEnd(within: .seconds(10)) == .exited(0))
            #expect(try await refuses(tunnel.endpoint()))
        }
    }

    @Test("A client that drains serves new connections beside a heavy stream, until that has ended")
    func goesOnBesideBulk() async throws {
        try await withScene { scene in
            let gate = Gate()
            let heavy = try scene.service { connection in
                for _ in 0..<400 { try connection.send(Pattern.bytes(seed: 1, count: 100_000)) }
                gate.wait()
                try connection.finish()
                _ = try connection.receiveToEnd()
            }
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(
                TunnelPlan(
                    services: [
                        .init(name: "heavy", target: heavy.endpoint.description),
                        .init(name: "echo", target: echo.endpoint.description),
                    ]
                ).with { $0.drain = "60s" })
            let bulk = try await tunnel.connect("heavy")
            _ = try await onThread { try bulk.receive(exactly: 40_000_000) }
            tunnel.client.signal(SIGTERM)
            try await eventually("the client drains") { tunnel.client.errors.contains("draining") }
            for _ in 0..<20 { try await expectEcho(at: tunnel.endpoint("echo"), count: 1000) }
            gate.open()
            bulk.close()
            #expect(try await tunnel.client.waitForEnd(within: .seconds(10)) == .exited(0))
        }
    }

    @Test("A server restarted in the middle of many short connections breaks none of them", arguments: ["1", "2"])
    func restart(shards: String) async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(
                TunnelPlan(to: echo.endpoint).with {
                    $0.drain = "60s"
                    $0.shards = shards
                })
            try await expectEcho(tunnel)
            let endpoint = tunnel.endpoint()
            let stop = Flag()
            let counts = Inbox<Int>()
            async let work: Void = withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<4 as Range<UInt64> {
                    group.addTask {
                        try await onThread {
                            var done = 0
                            while !stop.isSet {
                                let bytes = Pattern.bytes(seed: worker &+ UInt64(done), count: 100)
                                let socket = try Socket.connect(to: endpoint)
                                try socket.send(bytes)
                                try socket.finish()
                                let received = socket.received()
                                guard received.bytes == bytes, received.end == .orderly else {
                                    throw TunnelError(description: "worker \(worker), \(done): \(received)")
                                }
                                done += 1
                            }
                            counts.put(done)
                        }
                    }
                }
                try await group.waitForAll()
            }
            for _ in 0..<5 {
                let before = echo.accepted
                try await eventually("connections are served") { echo.accepted > before + 50 }
                tunnel.server.signal(SIGTERM)
                #expect(try await tunnel.server.waitForEnd() == .exited(0))
                try await tunnel.startServer()
            }
            stop.set()
            try await work
            #expect(counts.takeAll().reduce(0, +) >= 250)
            try await tunnel.stop()
        }
    }

    @Test(
        "A stream that never ends is cut when the drain time-out has passed, with a reset, and the exit is 0",
        arguments: Side.allCases)
    func cuts(side: Side) async throws {
        try await withScene { scene in
            let seen = Inbox<Sight>()
            let service = try scene.watcher(into: seen, greeting: "ready")
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint).with { $0.drain = "1s" })
            let socket = try await tunnel.connect()
            _ = try await onThread { try socket.receive(exactly: 5) }
            let stopping = side == .client ? tunnel.client : tunnel.server
            let start = ContinuousClock.now
            stopping.signal(SIGTERM)
            #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
            #expect(ContinuousClock.now - start >= .milliseconds(990))
            #expect(try await seen.next() == Sight(count: 0, end: .reset))
            #expect(try await stopping.waitForEnd(within: .seconds(5)) == .exited(0))
            try await tunnel.stop()
        }
    }

    @Test(
        "Idle daemons stop at once, long before the drain time-out, on SIGTERM and on SIGINT",
        arguments: [SIGTERM, SIGINT])
    func idle(signal: Int32) async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint).with { $0.drain = "60s" })
            try await expectEcho(tunnel)
            for child in [tunnel.server, tunnel.client] {
                child.signal(signal)
                #expect(try await child.waitForEnd(within: .seconds(10)) == .exited(0))
            }
        }
    }
}
