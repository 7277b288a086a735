// A server daemon, the tap in front of it, and several client daemons, each behind a lane of its own: an
// exchange through a lane is the only one on its carriers, so a case and what came of it belong together.

import Foundation
import Pairing
import Synchronization
import Testing

final class HostileRig: Sendable {
    /// One client daemon.
    struct Lane: Sendable {
        let number: Int
        let client: Child
        /// Where applications find the service.
        let endpoint: Endpoint
    }

    let tunnel: Tunnel
    let service: SmallService
    let tap: HostileTap
    let lanes: [Lane]
    /// Bytes of a request.
    private let size: Int

    /// What the hostile tests want of the daemons: broken carriers noticed soon, nothing held back by rate limits, and
    /// one carrier in the pool, so that a lane uses few. Each stream has a carrier of its own, so that a frame belongs to
    /// one stream, unless a test wants it otherwise.
    static func plan(_ service: SmallService) -> TunnelPlan {
        TunnelPlan(to: service.endpoint).with {
            $0.heartbeat = "500ms"
            $0.deadAfter = "2s"
            $0.pool = "{min-idle: 1, max-idle: 4}"
            $0.shards = "1"
            $0.carrier = "own"
            $0.admission = "{pairings-per-second: 10000, pairings-at-once: 10000}"
        }
    }

    /// Starts one server and `lanes` clients, each a device of its own.
    static func start(
        in scene: Scene, lanes count: Int, size: Int = SmallExchange.size, change: (inout TunnelPlan) -> Void = { _ in }
    ) async throws -> HostileRig {
        let service = try SmallService(in: scene, size: size)
        let keys = try (0..<count).map { try newDevice("lane-\($0).key", in: scene) }
        let tunnel = try await scene.prepareTunnel(
            plan(service).with { plan in
                plan.moreDevices = keys.enumerated()
                    .map { "  lane-\($0): {key: \"\($1)\", services: [sample]}\n" }.joined()
                change(&plan)
            })
        try await tunnel.startServer()
        let tap = try HostileTap(to: tunnel.serverEndpoint, lanes: count)
        scene.atEnd { tap.stop() }
        let children = try tap.endpoints.enumerated().map { number, endpoint in
            let name = "client-lane-\(number)"
            let yaml = tunnel.plan.clientYAML(serverAddress: endpoint, serverKey: tunnel.serverKey)
            try scene.write(
                yaml.replacingOccurrences(of: "identity: client.key", with: "identity: lane-\(number).key"),
                to: "\(name).yaml")
            return try scene.start(
                oncewireBinary, ["client", "--config", scene.path("\(name).yaml")], name: name,
                environment: tunnel.plan.clientEnvironment)
        }
        var lanes: [Lane] = []
        for (number, child) in children.enumerated() {
            lanes.append(Lane(number: number, client: child, endpoint: try await readyEndpoint(of: child)))
        }
        return HostileRig(tunnel: tunnel, service: service, tap: tap, lanes: lanes, size: size)
    }

    private init(tunnel: Tunnel, service: SmallService, tap: HostileTap, lanes: [Lane], size: Int) {
        (self.tunnel, self.service, self.tap, self.lanes, self.size) = (tunnel, service, tap, lanes, size)
    }

    /// Makes an identity file; returns the public key as text.
    static func newDevice(_ file: String, in scene: Scene) throws -> String {
        let identity = Identity.generate()
        try identity.save(path: scene.path(file))
        return identity.publicKey.text
    }

    /// Where the client says its first service listens.
    static func readyEndpoint(of child: Child) async throws -> Endpoint {
        try await eventually("\(child.name) says that it is ready") {
            if let end = child.end {
                throw TunnelError(description: "\(child.name) ended at once: \(end)\n\(child.errors)")
            }
            let lines = child.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            guard let line = lines.first(where: { $0.hasPrefix("oncewire client ready: ") }) else { return nil }
            return line.split(separator: ",")[0].split(separator: " ").last.flatMap { Endpoint($0) }
        }
    }

    /// Every daemon lives, and an exchange that nobody touches works on every lane.
    func expectAlive(within limit: Duration = patience) async throws {
        tap.passEverything()
        for child in [tunnel.server] + lanes.map(\.client) {
            if let end = child.end { throw TunnelError(description: "\(child.name) is dead: \(end)") }
        }
        for lane in lanes {
            // A carrier that was tampered with after its last stream may be noticed only by the next one.
            try await eventually("an untouched exchange works on lane \(lane.number)", within: limit) {
                try await onThread { [size] in
                    let exchange = SmallExchange(size: size)
                    return try exchange.perform(through: lane.endpoint).isWhole(exchange.answer)
                }
            }
        }
    }
}

/// A connection that brought nothing whole may have been made, but must have brought nothing at all and been reset.
func expectNoFragments(_ service: SmallService) {
    let fragments = service.fragments
    #expect(fragments.allSatisfy { $0.bytes.isEmpty }, "pieces of a frame reached the service")
    let orderly = fragments.count { $0.end == .orderly }
    #expect(orderly == 0, "\(orderly) connections without a byte ended as if in order")
}
