// Clients that should not get through: the target must not even be dialled, and the application must see
// a reset, not an orderly end.

import Foundation
import Testing

extension OneAtATime {
    @Suite("Clients that are not let in")
    struct HostileConfigurationTests {
        /// A genuine client beside the one under test shows that the server lives and would have let it in.
        private func expectRefused(
            change: (inout TunnelPlan) -> Void = { _ in }, _ configure: (Tunnel, Scene) async throws -> String
        ) async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let tunnel = try await scene.tunnel(
                    HostileRig.plan(service).with {
                        $0.waiting = "{connections: 64, timeout: 1s}"
                        change(&$0)
                    })
                try scene.write(try await configure(tunnel, scene), to: "refused.yaml")
                let refused = try scene.start(oncewireBinary, ["client", "--config", scene.path("refused.yaml")])
                let endpoint = try await HostileRig.readyEndpoint(of: refused)

                for _ in 0..<3 {
                    let received = try await onThread { try SmallExchange().perform(through: endpoint) }
                    #expect(received == Received(bytes: [], end: .reset))
                }
                #expect(service.accepted == 0)
                #expect(refused.end == nil)
                #expect(tunnel.server.end == nil)

                let genuine = tunnel.endpoint("sample")
                let exchange = SmallExchange()
                let received = try await onThread { try exchange.perform(through: genuine) }
                #expect(received.isWhole(exchange.answer))
                #expect(service.accepted == 1)
            }
        }

        @Test("A client that expects another server's key sends its application a reset, and the target sees nothing")
        func wrongServerKey() async throws {
            try await expectRefused { tunnel, scene in
                tunnel.plan.clientYAML(
                    serverAddress: tunnel.serverEndpoint, serverKey: try HostileRig.newDevice("other.key", in: scene))
            }
        }

        @Test("A device the server does not know gets nothing through")
        func unknownDevice() async throws {
            try await expectRefused { tunnel, scene in
                _ = try HostileRig.newDevice("stranger.key", in: scene)
                return tunnel.plan.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: tunnel.serverKey)
                    .replacingOccurrences(of: "identity: client.key", with: "identity: stranger.key")
            }
        }

        @Test("A service that the server has, but not for this device, is not reached")
        func serviceNotAllowed() async throws {
            try await expectRefused { plan in
                plan.services.append(.init(name: "forbidden", target: plan.services[0].target))
                plan.allowed = ["sample"]
            } _: { tunnel, _ in
                var only = tunnel.plan
                only.services.removeFirst()
                return only.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: tunnel.serverKey)
            }
        }

        @Test("A service that the server does not have is not reached")
        func unknownService() async throws {
            try await expectRefused { tunnel, _ in
                var only = tunnel.plan
                only.services[0].name = "nowhere"
                return only.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: tunnel.serverKey)
            }
        }
    }
}
