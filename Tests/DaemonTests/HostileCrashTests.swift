// kill -9 of either daemon: the other cleans up, and everything works again by itself.

import Glibc
import Testing

extension OneAtATime {
    @Suite("Daemons killed")
    struct HostileCrashTests {
        @Test("After kill -9 and restart of the server the client pairs again by itself within two seconds")
        func serverKilled() async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let tunnel = try await scene.tunnel(HostileRig.plan(service))
                for _ in 0..<3 {
                    try await expectExchange(tunnel)
                    let endpoint = tunnel.endpoint()
                    let open = try await openConnection(tunnel, service)
                    tunnel.server.kill()
                    let end = try await onThread { open.received().end }
                    #expect(end == .reset, "a connection whose server died must not end in order")

                    // One that comes while nobody is there is held until the server is back.
                    let held = SmallExchange()
                    async let heldResult = onThread { try held.perform(through: endpoint) }
                    try await tunnel.startServer()
                    try await eventually("a new connection works", within: .seconds(2)) {
                        try await onThread {
                            let exchange = SmallExchange()
                            return try exchange.perform(through: endpoint, timeout: .seconds(2)).isWhole(
                                exchange.answer)
                        }
                    }
                    #expect(try await heldResult.isWhole(held.answer))
                    #expect(tunnel.client.end == nil)
                }
            }
        }

        @Test("After kill -9 of the client the server's descriptors, memory and target connections return to baseline")
        func clientKilled() async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let tunnel = try await scene.prepareTunnel(HostileRig.plan(service))
                try await tunnel.startServer()
                let server = tunnel.server.facts
                let descriptors = server.openDescriptors
                var resident: [Int] = []
                for _ in 0..<6 {
                    try await tunnel.startClient()
                    var open: [Socket] = []
                    for _ in 0..<40 { open.append(try await openConnection(tunnel, service)) }
                    #expect(server.openDescriptors >= descriptors + 80)
                    tunnel.client.kill()
                    try await eventually("the server closes what belonged to the client") {
                        service.active == 0 && server.openDescriptors <= descriptors
                    }
                    #expect(service.visits.allSatisfy { $0.end == .reset }, "a target saw more than a reset")
                    for socket in open { socket.close() }
                    resident.append(server.residentBytes)
                }
                // The first rounds may still grow pools and the allocator's arenas.
                #expect(resident[5] <= resident[1] + 2 << 20, "resident: \(resident)")
                try await tunnel.startClient()
                try await expectExchange(tunnel)
            }
        }

        @Test("A daemon that is killed never looks like an orderly end to its neighbour")
        func neighbours() async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let tunnel = try await scene.tunnel(HostileRig.plan(service))
                let atClient = try await openConnection(tunnel, service)
                tunnel.client.kill()
                #expect(try await onThread { atClient.received().end } == .reset)
                try await eventually("the target's connection ends") { service.active == 0 }

                try await tunnel.startClient()
                let atServer = try await openConnection(tunnel, service)
                tunnel.server.kill()
                #expect(try await onThread { atServer.received().end } == .reset)
                try await eventually("the target's connection ends") { service.active == 0 }
                #expect(service.visits.map(\.end) == [.reset, .reset])
            }
        }

        private func expectExchange(_ tunnel: Tunnel) async throws {
            let endpoint = tunnel.endpoint()
            let exchange = SmallExchange()
            let received = try await onThread { try exchange.perform(through: endpoint) }
            #expect(received.isWhole(exchange.answer))
        }

        /// A connection in the middle of its exchange: the request has arrived and the answer too, nobody has closed.
        private func openConnection(_ tunnel: Tunnel, _ service: SmallService) async throws -> Socket {
            let endpoint = tunnel.endpoint()
            return try await onThread {
                let exchange = SmallExchange()
                let socket = try Socket.connect(to: endpoint)
                try socket.send(exchange.request)
                try demand(socket.receive(exactly: SmallExchange.size) == exchange.answer, "a wrong answer")
                return socket
            }
        }
    }
}
