// Connections to a server, until they are carriers or have been turned away.
import Pairing
import Settings
import Testing
import Vault
import Wire

@testable import Relay

@Suite struct NewcomerTests {
    private static let admission = AdmissionSettings(
        firstByte: .seconds(5), handshake: .seconds(20), pairRate: 1000, pairBurst: 1000)

    /// A server and two devices without daemons.
    private func bench(_ admission: AdmissionSettings = Self.admission, vault: Int = 100) throws -> RolesBench {
        try RolesBench(devices: 0, strangers: 2, vault: vault, admission: admission)
    }

    private func whyTurnedAway(_ bench: RolesBench) -> [String] {
        bench.server.events.compactMap { if case .stranger(_, let why) = $0 { why } else { nil } }
    }

    @Test("Whoever sends nothing is closed when the time for a first byte has passed, not before, and hears nothing")
    func silent() throws {
        let bench = try bench()
        let caller = try Caller(bench, as: bench.names[0])
        bench.pass(.milliseconds(4900))
        #expect(caller.isWaiting())
        bench.pass(.milliseconds(200))
        #expect(caller.isTurnedAway() && bench.newcomers == 0)
        #expect(whyTurnedAway(bench) == ["no handshake in time"])
    }

    @Test("Whoever has begun has until the handshake's time has passed, counted from the beginning")
    func slow() throws {
        let bench = try bench()
        let caller = try Caller(bench, as: bench.names[0])
        let message = try PairInitiator(identity: bench.names[0], server: bench.identity.publicKey).message
        for second in 0..<19 {
            caller.socket.write(message[second * 10..<second * 10 + 10])
            bench.pass(.seconds(1))
        }
        #expect(caller.isWaiting())
        bench.pass(.seconds(1))
        #expect(caller.isTurnedAway() && bench.server.counters.strangers == 1)
    }

    @Test("Whatever is no handshake message is closed at once and hears nothing")
    func garbage() throws {
        let bench = try bench()
        for bytes in [[UInt8](repeating: 7, count: 300), Array("GET / HTTP/1.1\r\n\r\n".utf8), HandshakeMessage.reject]
        {
            let caller = try Caller(bench, as: bench.names[0])
            caller.socket.write(bytes)
            #expect(caller.isTurnedAway())
        }
        #expect(whyTurnedAway(bench).count == 3 && bench.server.counters.strangers == 3)
    }

    @Test("PAIR of somebody who does not know this server's key is closed in silence")
    func wrongServer() throws {
        let bench = try bench()
        let caller = try Caller(bench, as: bench.names[0])
        try caller.sendPair(to: Identity.generate().publicKey)
        #expect(caller.isTurnedAway())
        #expect(whyTurnedAway(bench) == ["wrong mac1"])
    }

    @Test("A device that is not configured is closed in silence, and the log has its key")
    func unknownDevice() throws {
        let bench = try bench()
        let device = Identity.generate()
        let caller = try Caller(bench, as: device)
        try caller.sendPair()
        #expect(caller.isTurnedAway())
        #expect(
            bench.server.events.contains {
                if case .unknownDevice(let key, _) = $0 { key == device.publicKey } else { false }
            })
        #expect(bench.server.roles[0].shared.vault.count == 0)
    }

    @Test("A pairing counts once it is confirmed: then it is stored, and its carrier stays")
    func confirmed() throws {
        let bench = try bench()
        let caller = try Caller(bench, as: bench.names[0])
        try caller.sendPair()
        #expect(try caller.receivePaired())
        let vault = bench.server.roles[0].shared.vault
        #expect(vault.count == 0 && bench.server.counters.pairings == 0)
        try caller.confirm()
        #expect(caller.receiveFrame() == .confirmed)
        #expect(vault.count == 1 && bench.server.counters.pairings == 1)
        // The deadline is not there any more. Heartbeats may come.
        bench.pass(.seconds(21))
        #expect(bench.server.roles[0].register.all.count == 1)
    }

    @Test("A pairing that is not confirmed in the handshake's time is never stored, and its carrier is closed")
    func unconfirmed() throws {
        let bench = try bench()
        let caller = try Caller(bench, as: bench.names[0])
        bench.pass(.seconds(3))
        try caller.sendPair()
        #expect(try caller.receivePaired())
        // Counted from the beginning of the connection.
        bench.pass(.seconds(16))
        #expect(caller.isWaiting() && bench.server.roles[0].register.all.count == 1)
        bench.pass(.seconds(2))
        #expect(caller.isTurnedAway() && bench.server.roles[0].register.all.isEmpty)
        #expect(bench.server.roles[0].shared.vault.count == 0 && bench.server.counters.pairings == 0)
        #expect(
            bench.server.events.contains {
                if case .carrierLost(let why) = $0 { why == .local(.notConfirmed) } else { false }
            })
    }

    @Test("A server without room for another conversation gives up the new carrier and keeps the old conversation")
    func fullVault() throws {
        let bench = try bench(vault: 1)
        let first = try bench.pair(as: bench.names[0])
        let second = try Caller(bench, as: bench.names[1])
        try second.sendPair()
        #expect(try second.receivePaired())
        try second.confirm()
        #expect(second.isTurnedAway())
        #expect(bench.server.roles[0].register.all.map(\.peer.device) == [bench.names[0].publicKey])
        #expect(bench.server.counters.pairings == 1)
        withExtendedLifetime(first) {}
    }

    @Test("Strangers from one place may ask for so many pairings and no more; a device that confirms used up none")
    func admission() throws {
        let bench = try bench(AdmissionSettings(pairRate: 1, pairBurst: 2))
        for _ in 0..<4 { _ = try bench.pair(as: bench.names[0]) }
        let strangers = try (0..<3).map { _ in try Caller(bench, as: Identity.generate()) }
        for stranger in strangers {
            try stranger.sendPair()
            #expect(stranger.isTurnedAway())
        }
        let reasons = whyTurnedAway(bench)
        #expect(reasons.count == 3 && reasons.filter { $0 == "too many pairings" }.count == 1, "\(reasons)")
        // A second brings one more.
        bench.pass(.seconds(1))
        let another = try bench.pair(as: bench.names[1])
        withExtendedLifetime(another) {}
    }

    @Test("RESUME of a conversation that was never confirmed is rejected")
    func rejected() throws {
        let bench = try bench()
        let pairing = try Caller(bench, as: bench.names[0])
        try pairing.sendPair()
        #expect(try pairing.receivePaired())
        let caller = try Caller(resuming: pairing)
        _ = try caller.sendResume()
        #expect(caller.receive(HandshakeMessage.reject.count))
        #expect(caller.isTurnedAway())
        #expect(whyTurnedAway(bench) == ["RESUME of no live conversation"])
    }

    @Test("RESUME is accepted once: the same bytes on another connection are rejected")
    func replayed() throws {
        let bench = try bench()
        let pairing = try bench.pair(as: bench.names[0])
        let caller = try Caller(resuming: pairing)
        let message = try caller.sendResume()
        #expect(caller.receive(HandshakeMessage.size(of: .accept)))
        #expect(bench.server.roles[0].register.all.count == 2)
        let replay = try Caller(bench, as: bench.names[0])
        replay.socket.write(message)
        #expect(replay.receive(HandshakeMessage.reject.count))
        #expect(replay.isTurnedAway())
        #expect(bench.server.counters.resumes == 0, "neither has shown the device's key")
    }

    @Test("A server that drains turns newcomers away")
    func drains() throws {
        let bench = try bench()
        let caller = try Caller(bench, as: bench.names[0])
        for shard in bench.server.shards { shard.drain(limit: 10_000_000_000) }
        #expect(caller.isTurnedAway() && bench.newcomers == 0)
        #expect(bench.turn { bench.server.roles.allSatisfy(\.isFinished) })
    }

    @Test("Connections beyond limits.connections wait in the kernel until there is room")
    func limit() throws {
        let bench = try RolesBench(devices: 0, strangers: 1, connections: 3, admission: Self.admission)
        let callers = try (0..<3).map { _ in try Caller(bench, as: bench.names[0]) }
        let next = try bench.call()
        next.write([7, 7, 7, 7])
        for _ in 0..<50 { bench.turn() }
        #expect(next.read() == .nothingYet && bench.newcomers == 3)
        #expect(bench.server.events.contains { if case .acceptPaused = $0 { true } else { false } })
        callers[1].socket.close()
        callers[2].socket.close()
        // It looks again after a rest.
        bench.pass(.milliseconds(60))
        #expect(bench.turn { next.read() != .nothingYet })
        #expect(bench.newcomers == 1)
        #expect(bench.server.events.contains { if case .acceptResumed = $0 { true } else { false } })
    }
}
