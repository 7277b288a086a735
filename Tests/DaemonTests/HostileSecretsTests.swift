// Whoever reads a daemon's log, or its memory after a conversation, must find neither what was said nor what it
// was protected with.

import Foundation
import Testing

extension OneAtATime {
    @Suite("Secrets that must not stay", .enabled(if: revealsSecrets))
    struct HostileSecretsTests {
        /// Two daemons that reveal what they make, and the files they reveal it in.
        private func withDaemons(
            conversation: String? = nil,
            _ body: (Tunnel, SmallService, _ revealed: [String: String]) async throws -> Void
        ) async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                var plan = HostileRig.plan(service)
                plan.conversation = conversation
                plan.logLevel = "trace"
                // A second shard, so that secrets also pass from thread to thread.
                plan.shards = "2"
                plan.serverEnvironment = ["ONCEWIRE_TEST_REVEAL": scene.path("server.revealed")]
                plan.clientEnvironment = ["ONCEWIRE_TEST_REVEAL": scene.path("client.revealed")]
                let tunnel = try await scene.tunnel(plan)
                try await body(
                    tunnel, service,
                    ["server": scene.path("server.revealed"), "client": scene.path("client.revealed")])
            }
        }

        private func exchange(_ count: Int, through tunnel: Tunnel) async throws {
            let endpoint = tunnel.endpoint()
            for _ in 0..<count {
                let exchange = SmallExchange()
                #expect(try await onThread { try exchange.perform(through: endpoint) }.isWhole(exchange.answer))
            }
        }

        /// While the conversation lives its values are there: the search can find something.
        private func expectAlive(_ child: Child, _ file: String, of tunnel: Tunnel) async throws {
            let memory = ProcessMemory(pid: child.pid)
            try await eventually("a root and entropy are in the memory of \(child.name)") {
                // A short conversation may have expired meanwhile; this begins another.
                try await exchange(1, through: tunnel)
                let labels = Set(try memory.found(RevealedSecret.all(in: file)).map(\.label))
                return labels.isSuperset(of: ["root", "entropy", "personalization"])
            }
        }

        private func expectGone(_ child: Child, _ file: String) async throws {
            let memory = ProcessMemory(pid: child.pid)
            let secrets = try RevealedSecret.all(in: file)
            #expect(Set(secrets.map(\.label)).isSuperset(of: ["root", "entropy", "personalization"]))
            var left: [RevealedSecret] = []
            do {
                try await eventually("no secret is in the memory of \(child.name)", within: .seconds(15)) {
                    left = try memory.found(secrets)
                    return left.isEmpty
                }
            } catch is TimedOut {
                let labels = left.map(\.label).sorted()
                Issue.record("\(child.name) still has \(left.count) of \(secrets.count) secrets: \(labels)")
            }
            #expect(child.end == nil)
        }

        @Test("Neither log holds the plaintext or a secret, at the most talkative level")
        func logs() async throws {
            try await withDaemons { tunnel, _, revealed in
                let canary = "canary-\(UUID().uuidString)"
                let endpoint = tunnel.endpoint()
                // Cut short, orderly and reset: each is logged in its own way.
                for ending in 0..<3 {
                    try await onThread {
                        let socket = try Socket.connect(to: endpoint)
                        try socket.send(canary)
                        _ = try socket.receive(exactly: SmallExchange.size)
                        if ending == 0 { try socket.finish() }
                        if ending == 1 { try socket.reset() } else { socket.close() }
                    }
                }
                try await exchange(3, through: tunnel)
                try await tunnel.stop()
                for (child, role) in [(tunnel.server, "server"), (tunnel.client, "client")] {
                    let log = Data((child.output + child.errors).utf8)
                    #expect(log.count > 200, "the \(role) logged nothing")
                    var needles = [(name: "the plaintext", bytes: Array(canary.utf8))]
                    needles += try RevealedSecret.all(in: revealed[role]!).map {
                        (name: "a value of \($0.label)", $0.bytes)
                    }
                    #expect(needles.count > 3)
                    for needle in needles {
                        let hex = needle.bytes.map { String(format: "%02x", $0) }.joined()
                        let base64 = Data(needle.bytes).base64EncodedString().prefix(while: { $0 != "=" })
                        let forms = [
                            needle.bytes, Array(hex.utf8), Array(hex.uppercased().utf8), Array(base64.utf8).dropLast(),
                        ]
                        for form in forms {
                            #expect(log.range(of: Data(form)) == nil, "the \(role)'s log holds \(needle.name)")
                        }
                    }
                }
            }
        }

        @Test("When the client logs off, nothing of the conversation stays in the server's memory")
        func serverAfterLogOff() async throws {
            try await withDaemons { tunnel, _, revealed in
                try await exchange(20, through: tunnel)
                try await expectAlive(tunnel.server, revealed["server"]!, of: tunnel)
                tunnel.client.signal(SIGTERM)
                #expect(try await tunnel.client.waitForEnd() == .exited(0))
                try await expectGone(tunnel.server, revealed["server"]!)
            }
        }

        @Test("When a client vanished and its conversation expired, nothing of it stays in the server's memory")
        func serverAfterExpiry() async throws {
            try await withDaemons(
                conversation: "{ratchet-every: 1s, idle-timeout: 2s, lifetime: 3s}"
            ) { tunnel, _, revealed in
                try await exchange(20, through: tunnel)
                try await expectAlive(tunnel.server, revealed["server"]!, of: tunnel)
                tunnel.client.kill()
                try await expectGone(tunnel.server, revealed["server"]!)
            }
        }

        @Test("When the server vanished and the conversation expired, nothing of it stays in the client's memory")
        func clientAfterExpiry() async throws {
            try await withDaemons(
                conversation: "{ratchet-every: 1s, idle-timeout: 2s, lifetime: 3s}"
            ) { tunnel, _, revealed in
                try await exchange(20, through: tunnel)
                try await expectAlive(tunnel.client, revealed["client"]!, of: tunnel)
                tunnel.server.kill()
                try await expectGone(tunnel.client, revealed["client"]!)
            }
        }

        @Test("A root whose epoch is over is gone from both memories while the conversation goes on")
        func ratchet() async throws {
            try await withDaemons(
                conversation: "{ratchet-every: 1s, idle-timeout: 60s, lifetime: 60s}"
            ) { tunnel, _, revealed in
                for (child, role) in [(tunnel.server, "server"), (tunnel.client, "client")] {
                    let memory = ProcessMemory(pid: child.pid)
                    try await eventually("the first root of the \(role) is gone and a later one is there") {
                        let roots = try RevealedSecret.all(in: revealed[role]!).filter { $0.label == "root" }
                        guard roots.count > 3 else { return false }
                        let found = try memory.found(roots)
                        return !found.isEmpty && !found.contains(roots[0])
                    }
                }
                try await exchange(3, through: tunnel)
            }
        }

        @Test("Entropy of a carrier is gone from both memories when the carrier is, while the conversation goes on")
        func carrierEntropy() async throws {
            try await withDaemons { tunnel, service, revealed in
                // Each stream that is reset takes its carrier with it.
                let endpoint = tunnel.endpoint()
                for _ in 0..<20 {
                    try await onThread {
                        let exchange = SmallExchange()
                        let socket = try Socket.connect(to: endpoint)
                        try socket.send(exchange.request)
                        try demand(socket.receive(exactly: SmallExchange.size) == exchange.answer, "a wrong answer")
                        try socket.reset()
                    }
                }
                try await eventually("the target's connections end") { service.active == 0 }
                for (child, role) in [(tunnel.server, "server"), (tunnel.client, "client")] {
                    let memory = ProcessMemory(pid: child.pid)
                    try await eventually("only entropy of the pool's carriers is left in the \(role)") {
                        let all = try RevealedSecret.all(in: revealed[role]!).filter { $0.label == "entropy" }
                        let left = try memory.found(all).count
                        return all.count >= 40 && left > 0 && left <= 12
                    }
                }
            }
        }
    }
}
