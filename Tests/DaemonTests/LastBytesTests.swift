// Bytes before a reset. A direct connection delivers what had arrived before the reset came; so does the tunnel. Each
// daemon in turn is stopped while bytes and reset come in, so that it finds both at once, as a busy one does.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("Bytes that came before a reset")
    struct LastBytesTests {
        enum Side: CaseIterable, Sendable { case client, server }

        /// Two daemons, and a target that hands its connections to the test.
        private func withTargets(
            _ carrier: String, _ body: (Tunnel, Inbox<Socket>) async throws -> Void
        ) async throws {
            try await withScene { scene in
                let listener = try ListeningSocket()
                scene.atEnd { listener.close() }
                let arrived = Inbox<Socket>()
                startThread {
                    while let connection = try? listener.accept(timeout: .seconds(15)) { arrived.put(connection) }
                }
                let plan = TunnelPlan(to: listener.endpoint).with {
                    $0.carrier = carrier
                    $0.shards = "1"
                }
                let tunnel = try await scene.tunnel(plan)
                try await body(tunnel, arrived)
                try await tunnel.stop()
            }
        }

        /// An application and its target, each with a byte from the other.
        private func pair(_ tunnel: Tunnel, _ arrived: Inbox<Socket>) async throws -> (app: Socket, target: Socket) {
            let app = try await tunnel.connect(timeout: .seconds(15))
            try app.setNoDelay()
            try app.send("?")
            let target = try await arrived.next("the target is connected")
            try await onThread {
                try target.setNoDelay()
                _ = try target.receive(exactly: 1)
                try target.send("!")
                _ = try app.receive(exactly: 1)
            }
            return (app, target)
        }

        /// Stops a daemon while `work` is done, and lets it go on.
        private func whileStopped(_ child: Child, _ work: () async throws -> Void) async throws {
            child.signal(SIGSTOP)
            try await eventually("\(child.name) is stopped") { child.facts.state == "T" }
            defer { child.signal(SIGCONT) }
            try await work()
        }

        @Test(
            "An answer with a reset right after it reaches the application whole, and then the reset",
            arguments: ["own", "shared"], Side.allCases)
        func answer(carrier: String, stopped: Side) async throws {
            try await withTargets(carrier) { tunnel, arrived in
                for count in [1, 600, 5000, 40_000] {
                    let (app, target) = try await pair(tunnel, arrived)
                    let answer = Pattern.bytes(seed: UInt64(count), count: count)
                    try await whileStopped(stopped == .client ? tunnel.client : tunnel.server) {
                        try target.send(answer)
                        try await reset(target)
                    }
                    let received = try await onThread { app.received() }
                    #expect(
                        received.bytes.count == count, "of \(count) bytes before a reset \(received.bytes.count) came")
                    #expect(answer.starts(with: received.bytes))
                    #expect(received.end == .reset)
                }
            }
        }

        @Test(
            "Data with a reset right after it reach the service whole, and then the reset",
            arguments: ["own", "shared"], Side.allCases)
        func data(carrier: String, stopped: Side) async throws {
            try await withTargets(carrier) { tunnel, arrived in
                for count in [1, 600, 5000, 40_000] {
                    let (app, target) = try await pair(tunnel, arrived)
                    let data = Pattern.bytes(seed: UInt64(count), count: count)
                    try await whileStopped(stopped == .client ? tunnel.client : tunnel.server) {
                        try app.send(data)
                        try await reset(app)
                    }
                    let received = try await onThread { target.received() }
                    #expect(
                        received.bytes.count == count, "of \(count) bytes before a reset \(received.bytes.count) came")
                    #expect(data.starts(with: received.bytes))
                    #expect(received.end == .reset)
                }
            }
        }

        /// Resets once the kernel at the other end has everything: a reset overtakes what has not left.
        private func reset(_ socket: Socket) async throws {
            try await eventually("the kernel has delivered everything") { socket.unacknowledged == 0 }
            try socket.reset()
        }

        /// What `count` connections, a few at a time, saw.
        private func trials(_ count: Int, _ trial: @escaping @Sendable (Int) throws -> Bool) async throws -> Int {
            let next = Ticket()
            let whole = Inbox<Bool>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await onThread {
                            while let number = next.take(from: Array(0..<count)) { whole.put(try trial(number)) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            return whole.takeAll().count { $0 }
        }

        @Test(
            "A service that answers in the middle of a request and closes: the answer arrives as often as directly",
            arguments: ["own", "shared"], [5000, 200_000])
        func refusals(carrier: String, size: Int) async throws {
            let answer = Array(String(repeating: "413 too large\r\n", count: 20).utf8)
            try await withScene { scene in
                // The rest of the request is unread when it closes: its kernel sends a reset after the answer.
                let service = try scene.service { connection in
                    _ = try connection.receive(upTo: 1000)
                    try connection.send(answer)
                }
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint).with { $0.carrier = carrier })
                let request = Pattern.bytes(seed: 1, count: size)
                for (way, endpoint) in [("directly", service.endpoint), ("through the tunnel", tunnel.endpoint())] {
                    let whole = try await trials(150) { _ in
                        let socket = try Socket.connect(to: endpoint, timeout: .seconds(10))
                        try? socket.send(request)
                        return socket.received().bytes == answer
                    }
                    #expect(whole == 150, "\(whole) of 150 answers arrived \(way)")
                }
                try await tunnel.stop()
            }
        }

        @Test(
            "An application that sends and resets: the service gets the whole of it as often as directly",
            arguments: ["own", "shared"], [1, 5000, 30_000])
        func resets(carrier: String, size: Int) async throws {
            try await resets(carrier, size, greeted: true)
        }

        @Test(
            "An application that connects, sends and resets at once: the service gets the whole of it as often as directly",
            arguments: ["own", "shared"])
        func resetsAtOnce(carrier: String) async throws { try await resets(carrier, 5000, greeted: false) }

        /// `greeted` applications wait for a byte of the service, so that they know that it is there.
        private func resets(_ carrier: String, _ size: Int, greeted: Bool) async throws {
            try await withScene { scene in
                let counts = Inbox<Int>()
                let service = try scene.service { connection in
                    if greeted { try connection.send("!") }
                    counts.put(connection.received().bytes.count)
                }
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint).with { $0.carrier = carrier })
                let data = Pattern.bytes(seed: 2, count: size)
                for (way, endpoint) in [("directly", service.endpoint), ("through the tunnel", tunnel.endpoint())] {
                    _ = try await trials(150) { _ in
                        let socket = try Socket.connect(to: endpoint, timeout: .seconds(10))
                        if greeted { _ = try socket.receive(exactly: 1) }
                        try socket.send(data)
                        try until("the kernel has delivered everything") { socket.unacknowledged == 0 }
                        try socket.reset()
                        return true
                    }
                    try await eventually(
                        "the service has seen the ends of 150 connections \(way)", within: .seconds(10)
                    ) {
                        counts.count == 150
                    }
                    let whole = counts.takeAll().count { $0 == size }
                    #expect(whole == 150, "\(whole) of 150 arrived whole \(way)")
                }
                try await tunnel.stop()
            }
        }
    }
}

extension Socket {
    /// Bytes sent that the kernel at the other end has not acknowledged.
    var unacknowledged: Int {
        var count: Int32 = 0
        _ = withUnsafeMutablePointer(to: &count) { ioctl(fd, UInt(TIOCOUTQ), $0) }
        return Int(count)
    }
}
