// Signals to the real daemons: what must not end them, and what must end them now.

import Foundation
import Glibc
import Testing

@Suite("Signals", .timeLimit(.minutes(2)))
struct SignalTests {
    enum Side: CaseIterable { case client, server }

    private func child(_ side: Side, of tunnel: Tunnel) -> Child { side == .client ? tunnel.client : tunnel.server }

    @Test("SIGHUP is answered by a line in the log, SIGUSR1 and SIGUSR2 by nothing; what is open goes on")
    func harmless() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint).with { $0.logLevel = "warning" })
            let socket = try await tunnel.connect()
            func exchange(_ text: String) async throws {
                let answer = try await onThread {
                    try socket.send(text)
                    return try socket.receive(exactly: text.utf8.count)
                }
                #expect(answer == Array(text.utf8))
            }
            try await exchange("before")
            for child in [tunnel.client, tunnel.server] {
                for number in [SIGUSR1, SIGUSR2, SIGHUP] { child.signal(number) }
                try await eventually("\(child.name) answers SIGHUP") {
                    child.errors.contains("SIGHUP changes nothing: the configuration is read at start only")
                }
                #expect(child.end == nil)
                try await exchange("after")
            }
            try await expectEcho(tunnel)
            socket.close()
            try await tunnel.stop()
        }
    }

    @Test("SIGHUP, SIGUSR1 and SIGUSR2 do not cut a drain short", arguments: Side.allCases)
    func whileDraining(side: Side) async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint).with { $0.drain = "60s" })
            let socket = try await tunnel.connect()
            _ = try await onThread {
                try socket.send("a")
                return try socket.receive(exactly: 1)
            }
            let stopping = child(side, of: tunnel)
            stopping.signal(SIGTERM)
            try await eventually("it drains") { stopping.errors.contains("draining: 1 stream still open") }
            for number in [SIGUSR1, SIGUSR2, SIGHUP] { stopping.signal(number) }
            try await eventually("it answers SIGHUP") { stopping.errors.contains("SIGHUP changes nothing") }
            let rest = try await onThread {
                try socket.send("b")
                try socket.finish()
                return try socket.receiveToEnd()
            }
            #expect(rest == Array("b".utf8))
            #expect(try await stopping.waitForEnd() == .exited(0))
            try await tunnel.stop()
        }
    }

    @Test(
        "A second SIGTERM or SIGINT ends a daemon that drains, at once, and its streams with resets",
        arguments: Side.allCases, [SIGTERM, SIGINT])
    func twice(side: Side, second: Int32) async throws {
        try await withScene { scene in
            let seen = Inbox<Sight>()
            let service = try scene.watcher(into: seen, greeting: "ready")
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint).with { $0.drain = "1h" })
            let socket = try await tunnel.connect()
            _ = try await onThread { try socket.receive(exactly: 5) }
            let stopping = child(side, of: tunnel)
            // Either may come first: a terminal sends SIGINT, whoever loses patience SIGTERM.
            stopping.signal(second == SIGTERM ? SIGINT : SIGTERM)
            try await eventually("it drains") { stopping.errors.contains("draining: 1 stream still open") }
            stopping.signal(second)
            #expect(try await stopping.waitForEnd(within: .seconds(10)) == .exited(128 + second))
            #expect(stopping.errors.contains("\(second == SIGINT ? "SIGINT" : "SIGTERM") again: ended at once"))
            #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
            #expect(try await seen.next() == Sight(count: 0, end: .reset))
            try await tunnel.stop()
        }
    }

    @Test("The daemons' own defaults agree: a restart cuts streams before waiting applications are turned away")
    func defaults() async throws {
        try await withScene { scene in
            let tunnel = try await scene.prepareTunnel(TunnelPlan(to: .loopback(5432)))
            try scene.write(
                tunnel.plan.clientYAML(serverAddress: .loopback(7700), serverKey: tunnel.serverKey), to: "client.yaml")
            for file in ["server.yaml", "client.yaml"] {
                let check = try await scene.oncewire("check", scene.path(file), "--show")
                #expect(check.succeeded && check.errors.isEmpty)
                #expect(check.output.contains("\ndrain: 4s\n"))
            }
        }
    }
}
