// What happens to a conversation and its carriers in time: new entropy in mid-stream, new epochs, the
// end of a conversation. With the shortest times there are, so that it happens often.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("Conversations in time")
    struct ConversationTests {
        @Test(
            "Entropy is renewed many times during a transfer both ways, and both hashes are equal",
            .enabled(if: revealsSecrets))
        func renewedUnderLoad() async throws {
            let count = 100_000_000
            try await withScene { scene in
                let arrived = Inbox<Digest>()
                let service = try scene.service { connection in
                    let sending = startThread {
                        try? connection.sendPattern(seed: 61, count: count)
                        try? connection.finish()
                    }
                    arrived.put(try connection.digestToEnd())
                    sending.join()
                }
                let tunnel = try await scene.tunnel(
                    renewing("{frames: 16, bytes: 64KiB, every: 100ms}", service, scene))
                let socket = try await tunnel.connect()
                let before = entropies(scene)
                async let sent: Void = onThread {
                    try socket.sendPattern(seed: 62, count: count)
                    try socket.finish()
                }
                let received = try await onThread { try socket.digestToEnd() }
                try await sent
                #expect(received == Pattern.digest(seed: 61, count: count))
                #expect(try await arrived.next() == Pattern.digest(seed: 62, count: count))
                // Far more than the carriers opened meanwhile account for.
                #expect(entropies(scene) - before >= 20)
                try await tunnel.stop()
            }
        }

        @Test(
            "Entropy is renewed in a stream where each side waits for the other's single byte",
            .enabled(if: revealsSecrets))
        func renewedInDialogue() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let tunnel = try await scene.tunnel(renewing("{frames: 16, bytes: 64KiB, every: 1h}", echo, scene))
                let socket = try await tunnel.connect()
                let before = entropies(scene)
                let right = try await onThread {
                    try socket.setNoDelay()
                    return try (0..<2000).count { number in
                        try socket.send([UInt8(truncatingIfNeeded: number)])
                        return try socket.receive(exactly: 1) == [UInt8(truncatingIfNeeded: number)]
                    }
                }
                #expect(right == 2000)
                #expect(entropies(scene) - before > 100)
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test(
            "Entropy of an idle stream is renewed when its time has come, and the stream goes on",
            .enabled(if: revealsSecrets))
        func renewedWhileIdle() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let tunnel = try await scene.tunnel(
                    renewing("{every: 100ms}", echo, scene).with { $0.heartbeat = "100ms" })
                let socket = try await tunnel.connect()
                #expect(try await ping(socket))
                let before = entropies(scene)
                try await eventually("the entropy has been renewed ten times") { entropies(scene) - before > 20 }
                #expect(try await ping(socket))
                #expect(echo.accepted == 1)
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test("One conversation goes on over many epochs")
        func epochs() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let plan = TunnelPlan(to: echo.endpoint).with { $0.conversation = "{ratchet-every: 1s}" }
                let tunnel = try await scene.tunnel(plan)
                try await connectAgainAndAgain(for: .milliseconds(5200), tunnel)
                #expect(tunnel.pairings == 1)
                try await tunnel.stop()
            }
        }

        @Test("When a conversation's lifetime is over the client pairs again, and no application notices")
        func lifetime() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let plan = TunnelPlan(to: echo.endpoint).with {
                    $0.conversation = "{ratchet-every: 1s, idle-timeout: 2s, lifetime: 2s}"
                }
                let tunnel = try await scene.tunnel(plan)
                try await connectAgainAndAgain(for: .milliseconds(7000), tunnel)
                #expect(tunnel.pairings >= 3)
                try await tunnel.stop()
            }
        }

        @Test("A stream outlives its conversation, new entropy and all", .enabled(if: revealsSecrets))
        func streamOutlivesConversation() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let plan = renewing("{every: 200ms}", echo, scene).with {
                    $0.heartbeat = "100ms"
                    $0.conversation = "{ratchet-every: 1s, idle-timeout: 2s, lifetime: 2s}"
                }
                let tunnel = try await scene.tunnel(plan)
                let socket = try await tunnel.connect()
                #expect(try await ping(socket))
                try await eventually("the client has paired twice more") { tunnel.pairings >= 3 }
                let before = entropies(scene)
                try await eventually("the entropy has been renewed again") { entropies(scene) - before > 20 }
                #expect(try await ping(socket))
                #expect(echo.accepted == 1)
                socket.close()
                try await tunnel.stop()
            }
        }

        @Test("A conversation nobody used for its idle time is over, and the next connection works all the same")
        func idle() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let plan = TunnelPlan(to: echo.endpoint).with {
                    $0.conversation = "{ratchet-every: 1s, idle-timeout: 1s, lifetime: 1h}"
                }
                let tunnel = try await scene.tunnel(plan)
                for _ in 0..<3 {
                    try await expectEcho(at: tunnel.endpoint(), count: 1000)
                    let start = ContinuousClock.now
                    try await eventually("two idle times have passed") {
                        ContinuousClock.now - start > .seconds(2)
                    }
                }
                try await expectEcho(at: tunnel.endpoint(), count: 1000)
                try await tunnel.stop()
            }
        }

        @Test(
            "With a session of an older conversation open, connections that come after the idle time are served",
            arguments: ["shared", "own"])
        func olderSession(carrier: String) async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let plan = TunnelPlan(to: echo.endpoint).with {
                    $0.conversation = "{ratchet-every: 1s, idle-timeout: 1s, lifetime: 4s}"
                    $0.carrier = carrier
                    $0.shards = "1"
                }
                let tunnel = try await scene.tunnel(plan)
                let session = try await tunnel.connect()
                #expect(try await ping(session))
                try await eventually("the client has paired again") { tunnel.pairings >= 2 }
                for _ in 0..<5 {
                    let start = ContinuousClock.now
                    try await eventually("the idle time has just passed") {
                        ContinuousClock.now - start > .milliseconds(1010)
                    }
                    try await expectEcho(at: tunnel.endpoint(), count: 1000)
                }
                #expect(try await ping(session))
                session.close()
                try await tunnel.stop()
            }
        }

        // MARK: Means

        /// The server writes down each secret it makes, which shows how many there were.
        private func renewing(_ rekey: String, _ service: SampleService, _ scene: Scene) -> TunnelPlan {
            TunnelPlan(to: service.endpoint).with {
                $0.rekey = rekey
                $0.serverEnvironment = ["ONCEWIRE_TEST_REVEAL": scene.path("revealed")]
            }
        }

        private func entropies(_ scene: Scene) -> Int {
            let text = (try? String(contentsOfFile: scene.path("revealed"), encoding: .utf8)) ?? ""
            return text.split(separator: "\n").count { $0.hasPrefix("entropy ") }
        }

        private func connectAgainAndAgain(for duration: Duration, _ tunnel: Tunnel) async throws {
            let start = ContinuousClock.now
            try await eventually("\(duration) of connections", within: duration + patience) {
                try await expectEcho(at: tunnel.endpoint(), count: 1000)
                return ContinuousClock.now - start > duration
            }
        }
    }
}
