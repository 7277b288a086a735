// What the daemons keep: nothing of connections that are gone, and a bounded amount for those that stand
// still.

import Glibc
import Synchronization
import Testing

extension OneAtATime {
    @Suite("Memory of the daemons")
    struct HostileMemoryTests {
        @Test("Resident memory stays flat over twenty thousand short connections")
        func shortConnections() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint).with { $0.logLevel = "info" })
                let daemons = [tunnel.server.facts, tunnel.client.facts]
                let endpoint = tunnel.endpoint()
                try await connect(4000, to: endpoint)
                let early = daemons.map(\.residentBytes)
                try await connect(16_000, to: endpoint)
                let late = daemons.map(\.residentBytes)
                #expect(echo.accepted == 20_000)
                for (early, late) in zip(early, late) {
                    // 16,000 connections that each left 128 bytes behind would be 2 MiB.
                    #expect(late <= early + 2 << 20, "server and client: \(early) bytes, then \(late)")
                }
            }
        }

        /// Short connections, eight at a time: four bytes there and back, an orderly end each way.
        private func connect(_ count: Int, to endpoint: Endpoint) async throws {
            let numbers = Array(0..<count)
            let next = Ticket()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await onThread {
                            while next.take(from: numbers) != nil {
                                let socket = try Socket.connect(to: endpoint)
                                try socket.send("ping")
                                try socket.finish()
                                let received = socket.received()
                                try demand(received.isWhole(Array("ping".utf8)), "ended with \(received)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }

        @Test("A fast sender and a reader that stands still cost both daemons no more than their fixed buffers")
        func slowReader() async throws {
            try await withScene { scene in
                let visitors = Inbox<Socket>()
                let hold = DispatchGate()
                scene.atEnd { hold.open() }
                let service = try scene.service { visitor in
                    visitors.put(visitor)
                    hold.pass()
                }
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
                let daemons = [tunnel.server.facts, tunnel.client.facts]
                let warm = try await tunnel.connect()
                try warm.send([1])
                _ = try await visitors.next()
                let before = daemons.map(\.residentBytes)

                // Four streams stuffed towards the service, four towards the application.
                var pairs: [(app: Socket, visitor: Socket)] = []
                for _ in 0..<8 {
                    let app = try await tunnel.connect()
                    try app.send([1])
                    pairs.append((app, try await visitors.next()))
                }
                let senders = pairs.prefix(4).map(\.app) + pairs.suffix(4).map(\.visitor)
                var stuffed = 0
                let piece = [UInt8](repeating: 0x55, count: 1 << 18)
                // Blocked is who cannot send a byte more for half a second of trying.
                var stillSince = ContinuousClock.now
                try await eventually("every sender is blocked", within: .seconds(60)) {
                    for sender in senders {
                        let sent = try piece.withUnsafeBytes { try sender.sendNow($0) }
                        stuffed += sent
                        if sent > 0 { stillSince = .now }
                    }
                    return ContinuousClock.now - stillSince > .milliseconds(500)
                }
                let during = daemons.map(\.residentBytes)
                #expect(stuffed > 4 << 20, "\(stuffed) bytes are no strain")
                for (before, during) in zip(before, during) {
                    // 1 MiB a stream: more than the buffers of both its pipes, far less than what was sent.
                    #expect(during <= before + 8 << 20, "server and client: \(before) bytes, then \(during)")
                }
                for pair in pairs { pair.app.close() }
                hold.open()
                try await eventually("the streams end") { service.active == 0 }
                #expect(tunnel.server.end == nil)
                #expect(tunnel.client.end == nil)
            }
        }
    }
}

/// Holds threads until it is opened.
final class DispatchGate: Sendable {
    private let isOpen = Mutex(false)

    func open() { isOpen.withLock { $0 = true } }

    func pass() {
        while !isOpen.withLock({ $0 }) { usleep(10_000) }
    }
}
