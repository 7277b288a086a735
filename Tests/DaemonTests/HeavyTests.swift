// Streams that fill a thread are carried by another one than those that do not (docs/DESIGN.md, "Threads").

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("Heavy streams")
    struct HeavyTests {
        private static let heartbeat = Duration.milliseconds(50)

        /// Sends `bytes` to an echo and compares what comes back.
        private func echo(_ bytes: [UInt8], on socket: Socket) throws {
            let sending = startThread { try? socket.send(bytes) }
            let received = try socket.receive(exactly: bytes.count)
            sending.join()
            guard received == bytes else { throw TunnelError(description: "\(bytes.count) bytes came back changed") }
        }

        /// Much, then for some heartbeats a little at a time, and again.
        private func alternate(on socket: Socket, seed: UInt64) throws {
            var pattern = Pattern(seed: seed)
            try socket.setNoDelay()
            for _ in 0..<4 {
                try echo(pattern.bytes(6_000_000), on: socket)
                let end = ContinuousClock.now.advanced(by: Self.heartbeat * 4)
                while ContinuousClock.now < end { try echo(pattern.bytes(100), on: socket) }
            }
            try socket.finish()
            guard try socket.receiveToEnd().isEmpty else { throw TunnelError(description: "more came than was sent") }
        }

        @Test(
            "Streams that are heavy, then light, then heavy again lose nothing", arguments: ["own", "shared"],
            ["1", "2"])
        func alternating(carrier: String, shards: String) async throws {
            try await withScene { scene in
                let service = try scene.echo()
                let plan = TunnelPlan(to: service.endpoint).with {
                    $0.carrier = carrier
                    $0.shards = shards
                    $0.heartbeat = "50ms"
                    $0.rekey = "{frames: 64}"
                }
                let tunnel = try await scene.tunnel(plan)
                let endpoint = tunnel.endpoint()
                // The second time on carriers that heavy streams have left.
                for round in 0..<2 as Range<UInt64> {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<6 as Range<UInt64> {
                            group.addTask {
                                try await onThread {
                                    let socket = try Socket.connect(to: endpoint)
                                    try alternate(on: socket, seed: round * 100 + number)
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                }
                try await tunnel.stop()
            }
        }

        @Test("A heavy stream keeps its conversation in use, and so does the next after its loop had none")
        func conversation() async throws {
            try await withScene { scene in
                let service = try scene.echo()
                let plan = TunnelPlan(to: service.endpoint).with {
                    $0.carrier = "own"
                    $0.shards = "1"
                    $0.heartbeat = "50ms"
                    $0.conversation = "{ratchet-every: 1s, idle-timeout: 2s, lifetime: 1h}"
                }
                let tunnel = try await scene.tunnel(plan)
                let endpoint = tunnel.endpoint()
                let bytes = Pattern.bytes(seed: 3, count: 6_000_000)
                for _ in 0..<2 {
                    try await onThread {
                        let socket = try Socket.connect(to: endpoint)
                        let idleTimes = ContinuousClock.now.advanced(by: .seconds(5))
                        while ContinuousClock.now < idleTimes { try echo(bytes, on: socket) }
                        socket.close()
                    }
                    // Longer than the heavy loop's timer goes on without a carrier, shorter than the idle time.
                    let end = ContinuousClock.now.advanced(by: .milliseconds(500))
                    try await eventually("a quarter of the idle time has passed") { ContinuousClock.now > end }
                }
                try await expectEcho(at: endpoint, count: 1000)
                #expect(tunnel.pairings == 1)
                try await tunnel.stop()
            }
        }

        @Test("Heavy streams count towards limits.connections of their client")
        func limit() async throws {
            try await withScene { scene in
                let service = try scene.echo()
                let plan = TunnelPlan(to: service.endpoint).with {
                    $0.shards = "1"
                    $0.clientExtra = "limits: {connections: 3}\n"
                }
                let tunnel = try await scene.tunnel(plan)
                let endpoint = tunnel.endpoint()
                let bytes = Pattern.bytes(seed: 1, count: 20_000_000)
                let sockets = try await onThread { try (0..<3).map { _ in try Socket.connect(to: endpoint) } }
                try await onThread { for socket in sockets { try echo(bytes, on: socket) } }

                let fourth = try await onThread { try Socket.connect(to: endpoint) }
                try await onThread {
                    try fourth.send("waits")
                    for _ in 0..<50 { try echo(Array(bytes.prefix(100)), on: sockets[0]) }
                }
                #expect(service.accepted == 3)
                sockets[1].close()
                #expect(try await onThread { try fourth.receive(exactly: 5) } == Array("waits".utf8))
                for socket in sockets + [fourth] { socket.close() }
                try await tunnel.stop()
            }
        }
    }
}
