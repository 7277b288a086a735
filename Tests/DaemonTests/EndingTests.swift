// Ends that are no orderly ends: the other side sees a reset, soon, and never an end in order.

import Foundation
import Glibc
import Testing

/// How long a reset may take to travel: no time-out of the daemons at its default is this short.
private let promptly = Duration.seconds(4)

/// What one side saw of a connection.
struct Sight: Equatable, Sendable {
    var count: Int
    var end: StreamEnd
}

@Suite("Abrupt ends", .timeLimit(.minutes(2)))
struct EndingTests {
    @Test("A target that refuses becomes a reset of the application's connection")
    func refuses() async throws {
        try await withScene { scene in
            let tunnel = try await scene.tunnel(TunnelPlan(to: try scene.reservedPort().endpoint))
            for _ in 0..<3 {
                let socket = try await tunnel.connect(timeout: promptly)
                let sight = try await onThread { try socket.receiveToAnyEnd() }
                #expect(sight == ([], .reset))
            }
            try await tunnel.stop()
        }
    }

    @Test("A target that is a unix socket nobody listens on becomes a reset")
    func noUnixSocket() async throws {
        try await withScene { scene in
            let tunnel = try await scene.tunnel(TunnelPlan(to: .unix(scene.path("nobody"))))
            let socket = try await tunnel.connect(timeout: promptly)
            #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
            try await tunnel.stop()
        }
    }

    @Test("A target that hangs becomes a reset after its connect-timeout, and not before")
    func hangs() async throws {
        try await withScene { scene in
            let target = try await onThread { try HangingTarget() }
            scene.atEnd { target.stop() }
            let service = TunnelPlan.Service(
                name: "sample", target: target.endpoint.description, connectTimeout: "700ms")
            let tunnel = try await scene.tunnel(TunnelPlan(service))
            let start = ContinuousClock.now
            let socket = try await tunnel.connect(timeout: promptly)
            #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
            #expect(ContinuousClock.now - start >= .milliseconds(690))
            try await tunnel.stop()
        }
    }

    @Test("A target that resets in the middle resets the application's connection", arguments: [0, 1, 100_000])
    func targetResets(after count: Int) async throws {
        try await withScene { scene in
            let service = scene.keep(try .resetting(after: count))
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect(timeout: promptly)
            let sight = try await onThread {
                // With nothing to send first, the reset may already have come.
                if count > 0 { try socket.send(Pattern.bytes(seed: 21, count: count)) }
                return try socket.receiveToAnyEnd()
            }
            #expect(sight == ([], .reset))
            try await tunnel.stop()
        }
    }

    @Test("A target that resets while it sends leaves the application an exact prefix and a reset")
    func targetResetsWhileSending() async throws {
        try await withScene { scene in
            let service = try scene.service { connection in
                try connection.sendPattern(seed: 22, count: 3_000_000)
                throw SocketError(call: "reset on purpose", code: ECONNRESET)
            }
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect(timeout: promptly)
            let (bytes, end) = try await onThread { try socket.receiveToAnyEnd() }
            #expect(end == .reset)
            let isPrefix = bytes == Pattern.bytes(seed: 22, count: bytes.count)
            #expect(isPrefix)
            try await tunnel.stop()
        }
    }

    @Test("An application that resets resets the service's connection")
    func applicationResets() async throws {
        try await withScene { scene in
            let seen = Inbox<Sight>()
            let service = try scene.watcher(into: seen, greeting: "ready")
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect()
            try await onThread {
                _ = try socket.receive(exactly: 5)
                try socket.send(Pattern.bytes(seed: 23, count: 1000))
            }
            // Whether the bytes before a reset arrive is not promised, so it waits until they have.
            try await eventually("the service has the bytes") { service.received.value == 1000 }
            try socket.reset()
            #expect(try await seen.next(within: promptly) == Sight(count: 1000, end: .reset))
            try await tunnel.stop()
        }
    }

    @Test("An application that resets after its own orderly end resets the service that still sends")
    func applicationResetsAfterEnd() async throws {
        try await withScene { scene in
            let failed = Inbox<SocketError>()
            let service = try scene.service { connection in
                _ = try connection.receiveToEnd()
                do {
                    try connection.sendPattern(seed: 24, count: .max)
                } catch let error as SocketError {
                    failed.put(error)
                }
            }
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect()
            try await onThread {
                try socket.finish()
                _ = try socket.receive(exactly: 1_000_000)
            }
            try socket.reset()
            // EPIPE is what Linux makes of a reset that follows the peer's end.
            #expect([EPIPE, ECONNRESET].contains(try await failed.next(within: promptly).code))
            try await tunnel.stop()
        }
    }

    @Test("An application that vanishes with unread data resets the service that still sends")
    func applicationClosesUnread() async throws {
        try await withScene { scene in
            let failed = Inbox<SocketError>()
            let service = try scene.service { connection in
                do {
                    try connection.sendPattern(seed: 25, count: .max)
                } catch let error as SocketError {
                    failed.put(error)
                }
            }
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect()
            _ = try await onThread { try socket.receive(exactly: 1000) }
            socket.close()
            #expect(try await failed.next(within: promptly).isReset)
            try await tunnel.stop()
        }
    }

    @Test("When the server is killed, the application's open connections are reset at once")
    func serverKilled() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint))
            let socket = try await tunnel.connect(timeout: promptly)
            try await onThread {
                try socket.send("ping")
                _ = try socket.receive(exactly: 4)
            }
            tunnel.server.kill()
            #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
            tunnel.client.signal(SIGTERM)
            #expect(try await tunnel.client.waitForEnd() == .exited(0))
        }
    }

    @Test("When the client is killed, the service's open connections are reset at once")
    func clientKilled() async throws {
        try await withScene { scene in
            let seen = Inbox<Sight>()
            let service = try scene.watcher(into: seen, greeting: "ready")
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect()
            _ = try await onThread { try socket.receive(exactly: 5) }
            tunnel.client.kill()
            #expect(try await seen.next(within: promptly) == Sight(count: 0, end: .reset))
            tunnel.server.signal(SIGTERM)
            #expect(try await tunnel.server.waitForEnd() == .exited(0))
        }
    }
}

/// A service that greets, receives until the end, and reports which end it was.
struct Watcher {
    let service: SampleService
    let received: Counter
    var endpoint: Endpoint { service.endpoint }
}

extension Scene {
    func watcher(into seen: Inbox<Sight>, greeting: String = "") throws -> Watcher {
        let received = Counter()
        let service = try service { connection in
            if !greeting.isEmpty { try connection.send(greeting) }
            var count = 0
            do {
                _ = try connection.digestToEnd {
                    count = $0
                    received.set($0)
                }
                seen.put(Sight(count: count, end: .orderly))
            } catch let error as SocketError where error.isReset {
                seen.put(Sight(count: count, end: .reset))
            }
        }
        return Watcher(service: service, received: received)
    }
}
