// The two daemons of a test: identities, files, start, stop.

import Foundation
import Glibc
import Synchronization

struct TunnelError: Error, CustomStringConvertible {
    let description: String
}

/// A server and a client in one directory. Each may be started, ended and started again on its own.
final class Tunnel: Sendable {
    let scene: Scene
    let plan: TunnelPlan
    /// The public keys as text.
    let serverKey: String
    let clientKey: String
    private let state = Mutex(State())

    private struct State {
        var server: Child?
        var client: Child?
        /// Where the server listens, kept over restarts.
        var serverEndpoints: [Endpoint] = []
        var clientEndpoints: [(service: String, endpoint: Endpoint)] = []
        var starts = 0
    }

    fileprivate init(scene: Scene, plan: TunnelPlan) async throws {
        self.scene = scene
        self.plan = plan
        serverKey = try await Self.makeIdentity("server.key", in: scene)
        clientKey = try await Self.makeIdentity("client.key", in: scene)
        try scene.write(plan.serverYAML(deviceKey: clientKey), to: "server.yaml")
    }

    private static func makeIdentity(_ file: String, in scene: Scene) async throws -> String {
        let made = try await scene.oncewire("keygen", "--identity", scene.path(file))
        let key = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
        guard made.succeeded, key.hasPrefix("owpub-") else {
            throw TunnelError(description: "keygen: \(made.end) \(made.output)\(made.errors)")
        }
        return key
    }

    var server: Child { state.withLock { $0.server! } }
    var client: Child { state.withLock { $0.client! } }

    /// How often the client has paired.
    var pairings: Int { client.errors.split(separator: "\n").count { $0.contains(" paired with ") } }

    /// Where the server listens for carriers.
    var serverEndpoint: Endpoint { state.withLock { $0.serverEndpoints[0] } }

    /// Where applications find `service` (the first one by default).
    func endpoint(_ service: String? = nil) -> Endpoint { endpoints(service)[0] }

    func endpoints(_ service: String? = nil) -> [Endpoint] {
        let name = service ?? plan.services[0].name
        return state.withLock { $0.clientEndpoints.filter { $0.service == name }.map(\.endpoint) }
    }

    /// Connects as an application would.
    func connect(_ service: String? = nil, timeout: Duration = patience) async throws -> Socket {
        let endpoint = endpoint(service)
        return try await onThread { try Socket.connect(to: endpoint, timeout: timeout) }
    }

    // MARK: Starting

    /// Starts the server; again after a stop or a kill, on the same port.
    func startServer() async throws {
        let known = state.withLock { $0.serverEndpoints }
        if !known.isEmpty {
            let fixed = plan.with { $0.serverListen = known.map(\.description) }
            try scene.write(fixed.serverYAML(deviceKey: clientKey), to: "server.yaml")
        }
        let child = try start("server", plan.serverEnvironment)
        state.withLock { $0.server = child }
        let list = try await readyLine(of: child, after: "oncewire server ready: listening on ")
        let endpoints = list.compactMap { Endpoint($0) }
        guard endpoints.count == list.count, !endpoints.isEmpty else {
            throw TunnelError(description: "cannot read the addresses in the server's ready line: \(child.output)")
        }
        state.withLock { $0.serverEndpoints = endpoints }
    }

    /// Starts the client; `via` is where it finds the server if not at the server's own address.
    func startClient(via: Endpoint? = nil) async throws {
        let server = via ?? serverEndpoint
        try scene.write(plan.clientYAML(serverAddress: server, serverKey: serverKey), to: "client.yaml")
        let child = try start("client", plan.clientEnvironment)
        state.withLock { $0.client = child }
        let list = try await readyLine(of: child, after: "oncewire client ready: ")
        let endpoints = list.compactMap { entry -> (service: String, endpoint: Endpoint)? in
            let words = entry.split(separator: " ")
            guard words.count == 3, words[1] == "on", let endpoint = Endpoint(words[2]) else { return nil }
            return (String(words[0]), endpoint)
        }
        guard endpoints.count == list.count, !endpoints.isEmpty else {
            throw TunnelError(description: "cannot read the addresses in the client's ready line: \(child.output)")
        }
        state.withLock { $0.clientEndpoints = endpoints }
    }

    private func start(_ role: String, _ environment: [String: String]) throws -> Child {
        let number = state.withLock { state in
            state.starts += 1
            return state.starts
        }
        return try scene.start(
            oncewireBinary, [role, "--config", scene.path("\(role).yaml")], name: "\(role)-\(number)",
            environment: environment)
    }

    private func readyLine(of child: Child, after prefix: String) async throws -> [String] {
        try await eventually("\(child.name) says that it is ready") {
            if let end = child.end {
                throw TunnelError(description: "\(child.name) ended at once: \(end)\n\(child.errors)")
            }
            // Only whole lines: the last part may still be on its way.
            for line in child.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            where line.hasPrefix(prefix) {
                return line.dropFirst(prefix.count).split(separator: ",")
                    .map { $0.trimmingCharacters(in: .whitespaces) }
            }
            return nil
        }
    }

    // MARK: Stopping

    /// Stops both with SIGTERM and demands that they exit with 0. The client first: its streams end, and
    /// then the server's.
    func stop(within limit: Duration = patience) async throws {
        for child in [client, server] where child.end == nil {
            child.signal(SIGTERM)
            let end = try await child.waitForEnd(within: limit)
            guard end == .exited(0) else {
                throw TunnelError(description: "\(child.name) did not stop in order: \(end)")
            }
        }
    }
}

extension Scene {
    /// Identities and files for two daemons, neither started yet.
    func prepareTunnel(_ plan: TunnelPlan) async throws -> Tunnel { try await Tunnel(scene: self, plan: plan) }

    /// Two daemons, both ready.
    func tunnel(_ plan: TunnelPlan) async throws -> Tunnel {
        let tunnel = try await prepareTunnel(plan)
        try await tunnel.startServer()
        try await tunnel.startClient()
        return tunnel
    }
}
