// Peers that are gone, and applications that only look like it.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    /// With heartbeat 100 ms and dead-after 500 ms.
    @Suite("Stalled applications and lost peers")
    struct PeerLossTests {
        private func impatient(_ target: Endpoint) -> TunnelPlan {
            TunnelPlan(to: target).with {
                $0.heartbeat = "100ms"
                $0.deadAfter = "500ms"
            }
        }

        /// More than all buffers on the way hold together.
        private let much = 256 << 20

        /// Waits until `counters` have stood still for five times dead-after.
        private func stalled(_ counters: Counter...) async throws {
            var last: [Int] = []
            var since = ContinuousClock.now
            try await eventually("the senders are blocked for five dead-after periods", within: .seconds(60)) {
                let now = counters.map(\.value)
                if now != last || now.contains(0) {
                    last = now
                    since = .now
                }
                return ContinuousClock.now - since > .milliseconds(2500)
            }
        }

        @Test("An application that stops reading for longer than every time-out gets every byte later")
        func applicationStalls() async throws {
            try await withScene { scene in
                let sent = Counter()
                let service = try scene.service { [much] connection in
                    try connection.sendPattern(seed: 41, count: much) { sent.set($0) }
                    try connection.finish()
                    _ = try connection.receiveToEnd()
                }
                let tunnel = try await scene.tunnel(impatient(service.endpoint))
                let before = (tunnel.client.facts.residentBytes, tunnel.server.facts.residentBytes)
                let socket = try await tunnel.connect()
                try await stalled(sent)
                #expect(sent.value < much)
                // What one stream holds is bounded, however much its sender would like to send.
                #expect(tunnel.client.facts.residentBytes - before.0 < 16 << 20)
                #expect(tunnel.server.facts.residentBytes - before.1 < 16 << 20)
                #expect(try await onThread { try socket.digestToEnd() } == Pattern.digest(seed: 41, count: much))
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test("A service that stops reading for longer than every time-out gets every byte later")
        func serviceStalls() async throws {
            try await withScene { scene in
                let arrived = Inbox<Digest>()
                let gate = Gate()
                let service = try scene.service { connection in
                    gate.wait()
                    arrived.put(try connection.digestToEnd())
                }
                let tunnel = try await scene.tunnel(impatient(service.endpoint))
                let socket = try await tunnel.connect()
                let sent = Counter()
                async let sending: Void = onThread { [much] in
                    try socket.sendPattern(seed: 42, count: much) { sent.set($0) }
                    try socket.finish()
                }
                try await stalled(sent)
                #expect(sent.value < much)
                gate.open()
                try await sending
                #expect(try await arrived.next() == Pattern.digest(seed: 42, count: much))
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test("Both sides may stop reading at once, with both directions full, and get every byte later")
        func bothStall() async throws {
            try await withScene { scene in
                let arrived = Inbox<Digest>()
                let gate = Gate()
                let sentThere = Counter()
                let service = try scene.service { [much] connection in
                    let sending = startThread {
                        try? connection.sendPattern(seed: 43, count: much) { sentThere.set($0) }
                        try? connection.finish()
                    }
                    gate.wait()
                    arrived.put(try connection.digestToEnd())
                    sending.join()
                }
                let tunnel = try await scene.tunnel(impatient(service.endpoint))
                let socket = try await tunnel.connect()
                let sentHere = Counter()
                async let sending: Void = onThread { [much] in
                    try socket.sendPattern(seed: 44, count: much) { sentHere.set($0) }
                    try socket.finish()
                }
                try await stalled(sentHere, sentThere)
                #expect(sentHere.value < much)
                #expect(sentThere.value < much)
                gate.open()
                let received = try await onThread { try socket.digestToEnd() }
                try await sending
                #expect(received == Pattern.digest(seed: 43, count: much))
                #expect(try await arrived.next() == Pattern.digest(seed: 44, count: much))
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test("An application that closes while the service rests loses nothing")
        func closesWhileServiceRests() async throws {
            try await withScene { scene in
                let arrived = Inbox<Digest>()
                let gate = Gate()
                let service = try scene.service { connection in
                    gate.wait()
                    arrived.put(try connection.digestToEnd())
                }
                let tunnel = try await scene.tunnel(impatient(service.endpoint))
                let socket = try await tunnel.connect()
                try await onThread { try socket.sendPattern(seed: 46, count: 1_000_000) }
                socket.close()
                let start = ContinuousClock.now
                try await eventually("five dead-after periods have passed") {
                    ContinuousClock.now - start > .milliseconds(2500)
                }
                gate.open()
                #expect(try await arrived.next() == Pattern.digest(seed: 46, count: 1_000_000))
                try await tunnel.stop()
            }
        }

        @Test("An application that resets with every buffer full resets the service that rests")
        func applicationResetsWhileFull() async throws {
            try await withScene { scene in
                let seen = Inbox<Bool>()
                let service = try scene.service { connection in
                    seen.put(connection.waitForReset(within: patience))
                }
                // At their defaults the dead-peer time-outs are far away and cannot help.
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
                let socket = try await tunnel.connect()
                #expect(try await onThread { try socket.sendUntilFull(seed: 47) } > 0)
                try socket.reset()
                #expect(try await seen.next("the service sees the reset", within: .seconds(4)))
                try await tunnel.stop()
            }
        }

        @Test("A service that resets with every buffer full resets the application that rests")
        func serviceResetsWhileFull() async throws {
            try await withScene { scene in
                let full = Inbox<Int>()
                let gate = Gate()
                let service = try scene.service { connection in
                    full.put(try connection.sendUntilFull(seed: 48))
                    gate.wait()
                    throw SocketError(call: "reset on purpose", code: ECONNRESET)
                }
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
                let socket = try await tunnel.connect()
                #expect(try await full.next("the service has filled every buffer") > 0)
                gate.open()
                #expect(try await onThread { socket.waitForReset(within: .seconds(4)) })
                try await tunnel.stop()
            }
        }

        @Test("An idle connection lives on for longer than every time-out")
        func idle() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let tunnel = try await scene.tunnel(impatient(echo.endpoint))
                let socket = try await tunnel.connect()
                #expect(try await ping(socket))
                let start = ContinuousClock.now
                try await eventually("five dead-after periods have passed") {
                    ContinuousClock.now - start > .milliseconds(2500)
                }
                #expect(try await ping(socket))
                #expect(echo.accepted == 1)
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test("When the server stops answering, idle and sending applications are reset; later all is well again")
        func serverFreezes() async throws {
            try await withScene { scene in
                let seen = Inbox<Sight>()
                let service = try scene.watcher(into: seen, greeting: "ready")
                let tunnel = try await scene.tunnel(impatient(service.endpoint))
                let idle = try await tunnel.connect()
                let sending = try await tunnel.connect()
                for socket in [idle, sending] {
                    _ = try await onThread { try socket.receive(exactly: 5) }
                    // Twenty times dead-after, and then a receive gives up.
                    try socket.setTimeout(.seconds(10))
                }
                tunnel.server.signal(SIGSTOP)
                try await eventually("the server is stopped") { tunnel.server.facts.state == "T" }
                async let idleEnd = onThread { try idle.receiveToAnyEnd() }
                // Only one call hears of a reset, so this application does nothing but send.
                let error = await #expect(throws: SocketError.self) {
                    try await onThread { try sending.sendPattern(seed: 45, count: .max) }
                }
                #expect(error?.isReset == true)
                #expect(try await idleEnd == ([], .reset))

                tunnel.server.signal(SIGCONT)
                for _ in 0..<2 { #expect(try await seen.next().end == .reset) }
                let again = try await tunnel.connect()
                #expect(try await onThread { try again.receive(exactly: 5) } == Array("ready".utf8))
                again.close()
                try await tunnel.stop()
            }
        }

        @Test("When the client stops answering, the service's connections are reset")
        func clientFreezes() async throws {
            try await withScene { scene in
                let seen = Inbox<Sight>()
                let service = try scene.watcher(into: seen, greeting: "ready")
                let tunnel = try await scene.tunnel(impatient(service.endpoint))
                let socket = try await tunnel.connect()
                _ = try await onThread { try socket.receive(exactly: 5) }
                tunnel.client.signal(SIGSTOP)
                #expect(try await seen.next(within: .seconds(10)) == Sight(count: 0, end: .reset))
                tunnel.client.signal(SIGCONT)
                #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
                try await tunnel.stop()
            }
        }
    }
}

/// One message there and back.
func ping(_ socket: Socket, _ text: String = "ping") async throws -> Bool {
    try await onThread {
        try socket.send(text)
        return try socket.receive(exactly: text.utf8.count) == Array(text.utf8)
    }
}

/// Closed until it is opened, once and for all.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func open() { semaphore.signal() }

    /// Gives up after two minutes, so that no thread hangs for ever when its test has failed.
    func wait() {
        if semaphore.wait(timeout: .now() + 120) == .success { semaphore.signal() }
    }
}
