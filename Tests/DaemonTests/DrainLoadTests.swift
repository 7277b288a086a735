// Draining under load: a stream that is carried on while a daemon waits for its end may turn heavy meanwhile.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("Drain under load")
    struct DrainLoadTests {
        enum Direction: Sendable { case up, down }

        /// Who drains, and where the bytes go.
        struct Drain: Sendable, CaseIterable, CustomStringConvertible {
            let side: DrainTests.Side
            let direction: Direction
            static let allCases = DrainTests.Side.allCases.flatMap { side in
                [Direction.up, .down].map { Drain(side: side, direction: $0) }
            }
            var description: String { "\(side) drains, bytes go \(direction)" }
        }

        /// More than a counter of one byte can count in turns of a loop.
        private static let count = 400_000_000

        /// Waits for the gate, and then sends and receives what `direction` says.
        private func target(in scene: Scene, _ direction: Direction, _ gate: Gate, _ arrived: Inbox<Digest>) throws
            -> SampleService
        {
            try scene.service { connection in
                _ = try connection.receive(exactly: 1)
                try connection.send("!")
                gate.wait()
                if direction == .down { try connection.sendPattern(seed: 61, count: Self.count) }
                if direction == .down { try connection.finish() }
                arrived.put(try connection.digestToEnd())
            }
        }

        @Test(
            "A stream that turns heavy while a daemon drains has every byte, and the daemon exits with 0",
            arguments: ["own", "shared"], Drain.allCases)
        func turnsHeavy(carrier: String, drain: Drain) async throws {
            let (side, direction) = (drain.side, drain.direction)
            try await withScene { scene in
                let gate = Gate()
                let arrived = Inbox<Digest>()
                let service = try target(in: scene, direction, gate, arrived)
                let tunnel = try await scene.tunnel(
                    TunnelPlan(to: service.endpoint).with {
                        $0.carrier = carrier
                        $0.shards = "1"
                        $0.drain = "60s"
                    })
                let socket = try await tunnel.connect()
                try await onThread {
                    try socket.send("?")
                    _ = try socket.receive(exactly: 1)
                }
                let draining = side == .client ? tunnel.client : tunnel.server
                draining.signal(SIGTERM)
                try await eventually("\(draining.name) drains") { draining.errors.contains("draining") }
                gate.open()
                let received = try await onThread {
                    if direction == .up { try socket.sendPattern(seed: 61, count: Self.count) }
                    try socket.finish()
                    return try socket.digestToEnd()
                }
                let whole = Pattern.digest(seed: 61, count: Self.count)
                let none = Pattern.digest(seed: 61, count: 0)
                #expect(received == (direction == .down ? whole : none))
                #expect(try await arrived.next() == (direction == .up ? whole : none))
                #expect(try await draining.waitForEnd() == .exited(0))
                try await tunnel.stop()
            }
        }
    }
}
