// What keeps connections from being served stands in the log at its default level, in words, with service and device.

import Foundation
import Glibc
import Pairing
import Testing

@Suite("What the log says of failures", .timeLimit(.minutes(3)))
struct FailureLogTests {
    /// A plan whose log has the default level.
    private func plan(_ services: [TunnelPlan.Service]) -> TunnelPlan {
        TunnelPlan(services: services).with {
            $0.logLevel = "info"
            $0.shards = "1"
        }
    }

    /// The lines that a daemon has written with `word` in them.
    private func lines(_ daemon: Child, with word: String) -> [String] {
        daemon.errors.split(separator: "\n").map(String.init).filter { $0.contains(word) }
    }

    private func line(_ daemon: Child, with word: String) async throws -> String {
        try await eventually("\(daemon.name) says something of \(word)") { lines(daemon, with: word).first }
    }

    private func expectReset(_ tunnel: Tunnel, _ service: String) async throws {
        let socket = try await tunnel.connect(service)
        #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset))
    }

    /// Nothing that Swift printed by itself.
    private func expectWords(_ daemon: Child) {
        let errors = daemon.errors
        for name in ["Pairing.", "Wire.", "Relay.", "Codec.", "PairingError", "peer(", "failed("] {
            #expect(!errors.contains(name), "\(errors)")
        }
    }

    @Test("Why a target cannot be had is in both logs", arguments: ["shared", "own"])
    func targets(carrier: String) async throws {
        try await withScene { scene in
            // Its queue is full: the kernel answers no further SYN.
            let silent = try ListeningSocket(backlog: 0)
            scene.atEnd { silent.close() }
            var plugs: [Socket] = []
            for _ in 0..<8 {
                guard let plug = try? Socket.connect(to: silent.endpoint, timeout: .milliseconds(200)) else { break }
                plugs.append(plug)
            }
            let refusing = try scene.reservedPort().endpoint
            let tunnel = try await scene.tunnel(
                plan([
                    .init(name: "refusing", target: refusing.description),
                    .init(name: "nameless", target: "no-such-name.invalid:1"),
                    .init(name: "pathless", target: "unix:\(scene.path("no.sock"))"),
                    .init(name: "silent", target: silent.endpoint.description, connectTimeout: "300ms"),
                ]).with { $0.carrier = carrier })
            let words = [
                "refusing": ("Connection refused", "the target refused the connection"),
                "nameless": ("the name cannot be looked up: ", "the target cannot be reached"),
                "pathless": ("No such file or directory", "the target cannot be reached"),
                "silent": ("no answer within 300 ms", "the target did not answer in time"),
            ]
            for (service, (there, here)) in words {
                try await expectReset(tunnel, service)
                let far = try await line(tunnel.server, with: "service \(service): ")
                #expect(far.contains(" warning ") && far.contains(there), "\(far)")
                #expect(far.contains("device tested at 127.0.0.1:"), "\(far)")
                let near = try await line(tunnel.client, with: "service \(service): ")
                #expect(near.contains(" warning ") && near.contains(here), "\(near)")
                #expect(near.contains("server \(tunnel.serverEndpoint) "), "\(near)")
            }
            for plug in plugs { plug.close() }
            expectWords(tunnel.server)
            expectWords(tunnel.client)
        }
    }

    @Test("A service that fails in a loop writes few lines, and another one's line is still written")
    func loop() async throws {
        try await withScene { scene in
            let refusing = try scene.reservedPort().endpoint
            let tunnel = try await scene.tunnel(
                plan(["noisy", "quiet"].map { .init(name: $0, target: refusing.description) }))
            for _ in 0..<60 { try await expectReset(tunnel, "noisy") }
            try await expectReset(tunnel, "quiet")
            for daemon in [tunnel.server, tunnel.client] {
                _ = try await line(daemon, with: "service quiet: ")
                #expect((10..<30).contains(lines(daemon, with: "service noisy: ").count))
            }
            try await tunnel.stop()
            for daemon in [tunnel.server, tunnel.client] { #expect(daemon.errors.contains(" suppressed")) }
        }
    }

    @Test("A service that the device may not use is in both logs, with the device's name")
    func notAllowed() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(
                plan(["allowed", "secret"].map { .init(name: $0, target: echo.endpoint.description) })
                    .with { $0.allowed = ["allowed"] })
            try await expectReset(tunnel, "secret")
            #expect(try await line(tunnel.server, with: "'secret'").contains("device tested at 127.0.0.1:"))
            #expect(try await line(tunnel.client, with: "service secret: ").contains("may not use it"))
        }
    }

    @Test("A server without a free descriptor for the target says so, and the client hears reason 8")
    func descriptors() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(plan([.init(name: "starved", target: echo.endpoint.description)]))
            let warm = try await tunnel.connect()
            #expect(try await ping(warm))
            // Nothing beyond what is open now: the next descriptor is the target's.
            let pid = tunnel.server.pid
            let highest = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").compactMap(Int.init)
                .max()
            let limit = "--nofile=\(try #require(highest) + 1)"
            // Lower ones may be free: they are taken one after the other.
            #expect(try await scene.run("/usr/bin/prlimit", ["--pid", "\(pid)", limit]).succeeded)
            var held: [Socket] = []
            for _ in 0..<8 { held.append(try await tunnel.connect()) }
            let far = try await line(tunnel.server, with: "service starved: ")
            #expect(far.contains("resources exhausted: Too many open files"), "\(far)")
            let near = try await line(tunnel.client, with: "service starved: ")
            #expect(near.contains("resources exhausted"), "\(near)")
            for socket in held + [warm] { socket.close() }
        }
    }

    @Test("The loss of the server and its return are a line each, with the connections that it cost")
    func lostAndBack() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(plan([.init(name: "sample", target: echo.endpoint.description)]))
            var sockets: [Socket] = []
            for _ in 0..<3 {
                let socket = try await tunnel.connect()
                #expect(try await ping(socket))
                sockets.append(socket)
            }
            tunnel.server.kill()
            for socket in sockets { #expect(try await onThread { try socket.receiveToAnyEnd() } == ([], .reset)) }
            let server = "server \(tunnel.serverEndpoint) "
            let lost = try await line(tunnel.client, with: "\(server)lost: ")
            #expect(lost.contains(" warning "))
            try await tunnel.startServer()
            let again = try await line(tunnel.client, with: "\(server)reached again after ")
            #expect(again.hasSuffix("s, 3 connections reset meanwhile"), "\(again)")
            let socket = try await tunnel.connect()
            #expect(try await ping(socket))
            socket.close()
            try await tunnel.stop()
            #expect(lines(tunnel.client, with: "\(server)lost: ").count == 1, "\(tunnel.client.errors)")
            #expect(lines(tunnel.client, with: "\(server)reached").count == 1, "\(tunnel.client.errors)")
            expectWords(tunnel.client)
        }
    }

    @Test("A server that is silent is lost after dead-after, and the line says so")
    func silent() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(
                plan([.init(name: "sample", target: echo.endpoint.description)]).with {
                    $0.heartbeat = "200ms"
                    $0.deadAfter = "2s"
                })
            let socket = try await tunnel.connect()
            #expect(try await ping(socket))
            tunnel.server.signal(SIGSTOP)
            scene.atEnd { tunnel.server.signal(SIGCONT) }
            let lost = try await line(tunnel.client, with: "server \(tunnel.serverEndpoint) lost: ")
            #expect(lost.contains("nothing heard for 2 s"), "\(lost)")
            tunnel.server.signal(SIGCONT)
            let again = try await line(tunnel.client, with: "reached again after ")
            #expect(again.hasSuffix("1 connection reset meanwhile"), "\(again)")
            socket.close()
        }
    }

    @Test("A device that is not configured is a warning with the key to admit it, and its client says what to look at")
    func unknownDevice() async throws {
        try await withScene { scene in
            let tunnel = try await scene.prepareTunnel(plan([.init(name: "sample", target: "127.0.0.1:9")]))
            let stranger = try await scene.oncewire("keygen", "--identity", scene.path("stranger.key"))
            let key = stranger.output.trimmingCharacters(in: .whitespacesAndNewlines)
            try await tunnel.startServer()
            let yaml = tunnel.plan.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: tunnel.serverKey)
            try scene.write(
                yaml.replacingOccurrences(of: "identity: client.key", with: "identity: stranger.key"),
                to: "stranger.yaml")
            let client = try scene.start(oncewireBinary, ["client", "--config", scene.path("stranger.yaml")])
            let far = try await line(tunnel.server, with: "unknown device \(key) from 127.0.0.1:")
            #expect(far.contains(" warning ") && far.contains("under `devices:`"), "\(far)")
            let near = try await line(client, with: "cannot pair with server \(tunnel.serverEndpoint): ")
            #expect(near.contains(" warning ") && near.contains(key), "\(near)")
            expectWords(tunnel.server)
            expectWords(client)
        }
    }

    @Test("A client with the wrong server key says so, and the server says nothing at the default level")
    func wrongServerKey() async throws {
        try await withScene { scene in
            let tunnel = try await scene.prepareTunnel(plan([.init(name: "sample", target: "127.0.0.1:9")]))
            try await tunnel.startServer()
            let wrong = Identity.generate().publicKey.text
            try scene.write(
                tunnel.plan.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: wrong), to: "wrong.yaml")
            let client = try scene.start(oncewireBinary, ["client", "--config", scene.path("wrong.yaml")])
            let near = try await line(client, with: "cannot pair with server \(tunnel.serverEndpoint): ")
            #expect(near.contains(" warning ") && near.contains("`server.key`"), "\(near)")
            #expect(tunnel.server.errors.isEmpty, "\(tunnel.server.errors)")
            expectWords(client)
        }
    }
}
