// Daemons that run out of file descriptors: accepting pauses, costs nothing while it does, and goes on.

import Glibc
import Testing

extension OneAtATime {
    @Suite("Out of descriptors")
    struct HostileDescriptorTests {
        private static let limit = 64

        /// A daemon that may hold 64 descriptors at most.
        private func start(_ role: String, config: String, in scene: Scene) throws -> Child {
            try scene.start(
                "/usr/bin/prlimit",
                ["--nofile=\(Self.limit):\(Self.limit)", "--", oncewireBinary, role, "--config", scene.path(config)],
                name: "limited-\(role)")
        }

        @Test("A client at its limit neither spins nor dies, and serves those who waited when others close")
        func client() async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let tunnel = try await scene.prepareTunnel(
                    HostileRig.plan(service).with { $0.waiting = "{connections: 1024, timeout: 60s}" })
                try await tunnel.startServer()
                try scene.write(
                    tunnel.plan.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: tunnel.serverKey),
                    to: "client.yaml")
                let client = try start("client", config: "client.yaml", in: scene)
                let endpoint = try await HostileRig.readyEndpoint(of: client)

                let exchanges = (0..<150).map { _ in SmallExchange() }
                let applications = try await onThread {
                    try exchanges.map { exchange in
                        let socket = try Socket.connect(to: endpoint, timeout: .seconds(60))
                        try socket.send(exchange.request)
                        return socket
                    }
                }
                try await eventually("the client is at its limit") { client.facts.openDescriptors >= Self.limit - 4 }
                try await expectIdle(client)
                #expect(service.active < exchanges.count)

                // Each that closes makes room for one that waits; in the end all of them were served.
                for (exchange, socket) in zip(exchanges, applications) {
                    let received = try await onThread {
                        try socket.finish()
                        return socket.received()
                    }
                    #expect(received.isWhole(exchange.answer))
                }
                #expect(client.end == nil)
                #expect(service.exchangesSeen == exchanges.count)
            }
        }

        @Test("A server whose descriptors strangers use up neither spins nor dies, and recovers when they leave")
        func server() async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let tunnel = try await scene.prepareTunnel(
                    HostileRig.plan(service).with {
                        $0.serverListen = [Endpoint.loopback(try! scene.reservedPort().endpoint.port).description]
                        $0.admission =
                            "{first-byte-timeout: 60s, handshake-timeout: 60s, "
                            + "pairings-per-second: 10000, pairings-at-once: 10000}"
                    })
                let address = try #require(Endpoint(tunnel.plan.serverListen[0]))
                let server = try start("server", config: "server.yaml", in: scene)
                try await eventually("the server is ready") { server.output.contains("ready") }
                try await tunnel.startClient(via: address)
                let endpoint = tunnel.endpoint()
                try await expectExchange(endpoint)

                let strangers = try await onThread { try (0..<150).map { _ in try Socket.connect(to: address) } }
                try await eventually("the server is at its limit") { server.facts.openDescriptors >= Self.limit - 4 }
                try await expectIdle(server)
                for stranger in strangers { stranger.close() }
                try await eventually("an exchange works again") {
                    try await onThread {
                        let exchange = SmallExchange()
                        return try exchange.perform(through: endpoint).isWhole(exchange.answer)
                    }
                }
                #expect(server.end == nil)
                try await eventually("the descriptors return") { server.facts.openDescriptors < Self.limit / 2 }
            }
        }

        private func expectExchange(_ endpoint: Endpoint) async throws {
            let exchange = SmallExchange()
            #expect(try await onThread { try exchange.perform(through: endpoint) }.isWhole(exchange.answer))
        }

        /// A daemon that spins uses a core's worth of time; one that waits next to none. The second is what is measured,
        /// not waited for.
        private func expectIdle(_ child: Child) async throws {
            let before = child.facts.cpuTime
            try await Task.sleep(for: .seconds(1))
            let used = child.facts.cpuTime - before
            #expect(used < .milliseconds(200), "\(child.name) used \(used) of processor time in a second of waiting")
            #expect(child.end == nil)
        }
    }
}
