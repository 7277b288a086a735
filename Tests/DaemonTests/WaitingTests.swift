// Connections that come before the server does.

import Foundation
import Glibc
import Testing

@Suite("Waiting for the server", .timeLimit(.minutes(2)))
struct WaitingTests {
    @Test("Connections made before the server is up are held, and served once it is")
    func held() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let server = try scene.reservedPort().endpoint
            let plan = TunnelPlan(to: echo.endpoint).with {
                $0.serverListen = [server.description]
                $0.waiting = "{connections: 100, timeout: 60s}"
            }
            let tunnel = try await scene.prepareTunnel(plan)
            try await tunnel.startClient(via: server)
            var sockets: [Socket] = []
            for number in 0..<20 {
                let socket = try await tunnel.connect()
                // Some have said something already, and one has even finished.
                if number % 2 == 0 { try await onThread { try socket.send("request \(number)") } }
                if number == 0 { try socket.finish() }
                sockets.append(socket)
            }
            #expect(echo.accepted == 0)
            try await tunnel.startServer()
            for (number, socket) in sockets.enumerated() {
                let answer = try await onThread {
                    if number % 2 == 1 { try socket.send("request \(number)") }
                    if number != 0 { try socket.finish() }
                    return try socket.receiveToEnd()
                }
                #expect(String(decoding: answer, as: UTF8.self) == "request \(number)")
            }
            #expect(echo.accepted == 20)
            try await tunnel.stop()
        }
    }

    @Test("A connection that waits for longer than its time is reset, and not before")
    func tooLong() async throws {
        try await withScene { scene in
            let server = try scene.reservedPort().endpoint
            let plan = TunnelPlan(to: .loopback(1)).with { $0.waiting = "{connections: 100, timeout: 1s}" }
            let tunnel = try await scene.prepareTunnel(plan)
            try await tunnel.startClient(via: server)
            let start = ContinuousClock.now
            let socket = try await tunnel.connect(timeout: .seconds(10))
            #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
            #expect(ContinuousClock.now - start >= .milliseconds(990))
            tunnel.client.signal(SIGTERM)
            #expect(try await tunnel.client.waitForEnd() == .exited(0))
        }
    }

    @Test("More connections than may wait are reset, the ones that wait are still served")
    func tooMany() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let server = try scene.reservedPort().endpoint
            let plan = TunnelPlan(to: echo.endpoint).with {
                $0.serverListen = [server.description]
                $0.waiting = "{connections: 4, timeout: 60s}"
                // The limit is the daemon's; with one shard nothing depends on how it is shared out.
                $0.shards = "1"
            }
            let tunnel = try await scene.prepareTunnel(plan)
            try await tunnel.startClient(via: server)
            var held: [Socket] = []
            for _ in 0..<4 { held.append(try await tunnel.connect()) }
            for _ in 0..<3 {
                let surplus = try await tunnel.connect(timeout: .seconds(10))
                #expect(try await onThread { try surplus.receiveToAnyEnd() } == ([], .reset))
            }
            try await tunnel.startServer()
            for socket in held { #expect(try await ping(socket)) }
            for socket in held { socket.close() }
            try await tunnel.stop()
        }
    }

    @Test("A waiting connection that its application gives up never reaches the service")
    func givenUp() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let server = try scene.reservedPort().endpoint
            let plan = TunnelPlan(to: echo.endpoint).with {
                $0.serverListen = [server.description]
                $0.waiting = "{connections: 100, timeout: 60s}"
            }
            let tunnel = try await scene.prepareTunnel(plan)
            try await tunnel.startClient(via: server)
            let impatient = try await tunnel.connect()
            try impatient.reset()
            let patient = try await tunnel.connect()
            try await tunnel.startServer()
            #expect(try await ping(patient))
            patient.close()
            try await tunnel.stop()
            #expect(echo.accepted == 1)
        }
    }
}
