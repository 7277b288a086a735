// Listeners that cannot be had, or not yet: what the daemon does about it, and what it says.

import Foundation
import Glibc
import Testing

@Suite("Listeners that are missing", .timeLimit(.minutes(2)))
struct ListenerFaultTests {
    /// Two services, one of which is to listen at `endpoint`.
    private func plan(_ echo: Endpoint, _ endpoint: Endpoint) -> TunnelPlan {
        TunnelPlan(
            .init(name: "first", target: echo.description),
            .init(name: "second", target: echo.description, listen: [endpoint.description]))
    }

    @Test(
        "A client of which one port is taken serves its other services, says so as an error, and has it when it is free"
    )
    func taken() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let owner = try ListeningSocket()
            let tunnel = try await scene.tunnel(plan(echo.endpoint, owner.endpoint))
            #expect(tunnel.endpoints("first").count == 1 && tunnel.endpoints("second").isEmpty)
            try await expectEcho(at: tunnel.endpoint("first"))
            let said = "service second: cannot listen on \(owner.endpoint): another program has this address"
            try await eventually("an error in the log") {
                tunnel.client.errors.contains(said) && tunnel.client.errors.contains("error")
            }
            owner.close()
            try await eventually("a line about the port") {
                tunnel.client.errors.contains("service second: listening on \(owner.endpoint) now")
            }
            try await expectEcho(at: owner.endpoint)
            try await tunnel.stop()
        }
    }

    @Test("A client stops in order while a port is still taken")
    func stopsWhileTaken() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let owner = try ListeningSocket()
            let tunnel = try await scene.tunnel(plan(echo.endpoint, owner.endpoint))
            try await expectEcho(at: tunnel.endpoint("first"))
            try await tunnel.stop()
            // It is still its owner's.
            let socket = try await onThread { try Socket.connect(to: owner.endpoint) }
            socket.close()
        }
    }

    @Test(
        "A second client of the same file exits with 69, names what it could not have, and harms the first one in nothing"
    )
    func allTaken() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let path = scene.path("application")
            let plan = TunnelPlan(
                .init(
                    name: "first", target: echo.endpoint.description,
                    listen: [try scene.reservedPort().endpoint.description]),
                .init(name: "second", target: echo.endpoint.description, listen: ["unix:\(path)"]))
            let tunnel = try await scene.tunnel(plan)
            let second = try await scene.oncewire("client", "--config", scene.path("client.yaml"))
            #expect(second.exitCode == 69)
            #expect(second.errors.contains("unix:\(path): another program has this address"))
            #expect(second.errors.contains("\(tunnel.endpoint("first")): another program has this address"))
            for service in ["first", "second"] { try await expectEcho(at: tunnel.endpoint(service)) }
            try await tunnel.stop()
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(!FileManager.default.fileExists(atPath: "\(path).lock"))
        }
    }

    @Test("An address that this host does not have yet is no reason not to start, and a warning")
    func notYet() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(plan(echo.endpoint, .v4("203.0.113.7", 47_002)))
            #expect(tunnel.endpoint("second") == .v4("203.0.113.7", 47_002))
            try await expectEcho(at: tunnel.endpoint("first"))
            try await eventually("a warning") {
                tunnel.client.errors.split(separator: "\n").contains {
                    $0.contains("warning")
                        && $0.contains("listening on 203.0.113.7:47002, which is no address of this host yet")
                }
            }
            try await tunnel.stop()
        }
    }

    @Test("A name listens on all its addresses, and the ready line says which")
    func name() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let service = TunnelPlan.Service(
                name: "sample", target: echo.endpoint.description, listen: ["localhost:0"])
            let tunnel = try await scene.tunnel(TunnelPlan(service).with { $0.serverListen = ["localhost:0"] })
            let endpoints = tunnel.endpoints()
            #expect(endpoints.contains { $0.description.hasPrefix("127.0.0.1:") })
            #expect(!endpoints.contains { $0.description.contains("localhost") })
            for endpoint in endpoints { try await expectEcho(at: endpoint) }
            try await tunnel.stop()
        }
    }

    @Test("A socket file that somebody else put into its place outlives the daemon")
    func foreignFile() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let path = scene.path("application")
            let service = TunnelPlan.Service(
                name: "sample", target: echo.endpoint.description, listen: ["unix:\(path)"])
            let tunnel = try await scene.tunnel(TunnelPlan(service))
            unlink(path)
            let other = try ListeningSocket(on: .unix(path))
            defer { other.close() }
            try await tunnel.stop()
            let socket = try await onThread { try Socket.connect(to: .unix(path)) }
            socket.close()
        }
    }
}
