// Where daemons listen and what they dial: unix sockets, IPv6, names, several services.

import Foundation
import Glibc
import Testing

@Suite("Addresses", .timeLimit(.minutes(2)))
struct AddressTests {
    @Test("Unix sockets serve as the application's end and as the service's end")
    func unixSockets() async throws {
        try await withScene { scene in
            let echo = try scene.echo(on: .unix(scene.path("service")))
            let service = TunnelPlan.Service(
                name: "sample", target: echo.endpoint.description, listen: ["unix:\(scene.path("application"))"])
            let tunnel = try await scene.tunnel(TunnelPlan(service))
            #expect(tunnel.endpoint() == .unix(scene.path("application")))
            try await expectEcho(tunnel)
            try await tunnel.stop()
        }
    }

    @Test("A unix socket that a killed client left behind does not stop the next one from listening")
    func staleUnixSocket() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let service = TunnelPlan.Service(
                name: "sample", target: echo.endpoint.description, listen: ["unix:\(scene.path("application"))"])
            let tunnel = try await scene.tunnel(TunnelPlan(service))
            tunnel.client.kill()
            #expect(access(scene.path("application"), F_OK) == 0)
            try await tunnel.startClient()
            try await expectEcho(tunnel)
            try await tunnel.stop()
            #expect(access(scene.path("application"), F_OK) == -1)
        }
    }

    @Test("IPv6 serves as the application's end, between the daemons, and as the service's end")
    func ipv6() async throws {
        try await withScene { scene in
            let echo = try scene.echo(on: .v6("::1", 0))
            let service = TunnelPlan.Service(name: "sample", target: echo.endpoint.description, listen: ["[::1]:0"])
            let tunnel = try await scene.tunnel(TunnelPlan(service).with { $0.serverListen = ["[::1]:0"] })
            #expect(tunnel.endpoint().family == AF_INET6)
            #expect(tunnel.serverEndpoint.family == AF_INET6)
            try await expectEcho(tunnel)
            try await tunnel.stop()
        }
    }

    @Test("The daemons of one host may meet at a unix socket")
    func carriersOverUnixSocket() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let plan = TunnelPlan(to: echo.endpoint).with { $0.serverListen = ["unix:\(scene.path("carriers"))"] }
            let tunnel = try await scene.tunnel(plan)
            #expect(tunnel.serverEndpoint == .unix(scene.path("carriers")))
            try await expectEcho(tunnel)
            try await tunnel.stop()
        }
    }

    @Test("A service may listen at several addresses, and the server too")
    func severalAddresses() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let service = TunnelPlan.Service(
                name: "sample", target: echo.endpoint.description,
                listen: ["127.0.0.1:0", "[::1]:0", "unix:\(scene.path("application"))"])
            let plan = TunnelPlan(service).with { $0.serverListen = ["[::1]:0", "127.0.0.1:0"] }
            let tunnel = try await scene.tunnel(plan)
            #expect(Set(tunnel.endpoints().map(\.family)) == [AF_INET, AF_INET6, AF_UNIX])
            for endpoint in tunnel.endpoints() { try await expectEcho(at: endpoint) }
            try await tunnel.stop()
        }
    }

    @Test("A target may be a name; one that resolves nowhere is a reset")
    func names() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let plan = TunnelPlan(
                .init(name: "named", target: "localhost:\(echo.endpoint.port)"),
                .init(name: "nowhere", target: "nowhere.invalid:\(echo.endpoint.port)", connectTimeout: "2s"))
            let tunnel = try await scene.tunnel(plan)
            try await expectEcho(at: tunnel.endpoint("named"))
            let lost = try await tunnel.connect("nowhere")
            #expect(try await onThread { try lost.receiveToAnyEnd() } == ([], .reset))
            try await tunnel.stop()
        }
    }

    @Test("Several services at once each reach their own target")
    func severalServices() async throws {
        try await withScene { scene in
            let names = ["alpha", "beta", "gamma.2", "delta-d", "e_e"]
            let services = try names.map { scene.keep(try .greeter("I am \($0)")) }
            let tunnel = try await scene.tunnel(
                TunnelPlan(
                    services: zip(names, services).map {
                        TunnelPlan.Service(name: $0, target: $1.endpoint.description)
                    }))
            try await withThrowingTaskGroup(of: (String, [UInt8]).self) { group in
                for name in names {
                    for _ in 0..<20 {
                        group.addTask {
                            let socket = try await tunnel.connect(name)
                            return (name, try await onThread { try socket.receiveToEnd() })
                        }
                    }
                }
                for try await (name, greeting) in group {
                    #expect(String(decoding: greeting, as: UTF8.self) == "I am \(name)")
                }
            }
            #expect(services.map(\.accepted) == [20, 20, 20, 20, 20])
            try await tunnel.stop()
        }
    }
}

/// 1 MiB there and back over a new connection.
func expectEcho(_ tunnel: Tunnel) async throws { try await expectEcho(at: tunnel.endpoint()) }

func expectEcho(at endpoint: Endpoint, count: Int = 1 << 20) async throws {
    let socket = try await onThread { try Socket.connect(to: endpoint) }
    async let answer = onThread { try socket.digestToEnd() }
    try await onThread {
        try socket.sendPattern(seed: 31, count: count)
        try socket.finish()
    }
    #expect(try await answer == Pattern.digest(seed: 31, count: count), "through \(endpoint)")
}
