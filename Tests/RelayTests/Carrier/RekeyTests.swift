import Codec
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct RekeyTests {
    private static let never = RekeySettings(frames: .max / 4, bytes: .max / 4, every: .seconds(1_000_000_000))

    private func settings(_ change: (inout RekeySettings) -> Void) -> CommonSettings {
        var rekey = Self.never
        change(&rekey)
        return CommonSettings(rekey: rekey)
    }

    /// Runs a stream of 600 kB each way, then another, and says how many exchanges were completed.
    private func exchanges(client: CommonSettings, server: CommonSettings, seed: UInt64 = 1) throws -> UInt64 {
        let tunnel = try Tunnel(settings: client, serverSettings: server)
        for round in 0..<2 as Range<UInt64> {
            let stream = try tunnel.open()
            tunnel.run(
                Flow(600_000, from: stream.application, to: stream.target, largest: 5_000, seed: seed + round),
                Flow(600_000, from: stream.target, to: stream.application, largest: 5_000, seed: seed + round + 100))
            tunnel.settle()
            #expect(tunnel.isIdle)
        }
        #expect(tunnel.clientOwner.lostBecause == nil && tunnel.serverOwner.lostBecause == nil)
        return tunnel.bench.shard.counters.rekeys
    }

    @Test("Without a limit reached nothing is exchanged")
    func none() throws {
        #expect(try exchanges(client: settings { _ in }, server: settings { _ in }) == 0)
    }

    @Test(
        "A limit of frames makes either end exchange keys while bytes flow both ways",
        arguments: [Side.client, .server])
    func frames(_ side: Side) throws {
        let (often, never) = (settings { $0.frames = 50 }, settings { _ in })
        let count = try exchanges(client: side == .client ? often : never, server: side == .server ? often : never)
        #expect(count >= 4 && count % 2 == 0, "each end counts each exchange")
    }

    @Test("A limit of bytes makes either end exchange keys", arguments: [Side.client, .server])
    func bytes(_ side: Side) throws {
        let (often, never) = (settings { $0.bytes = 100_000 }, settings { _ in })
        let count = try exchanges(client: side == .client ? often : never, server: side == .server ? often : never)
        #expect(count >= 4 && count % 2 == 0)
    }

    @Test("Both ends with the same small limit offer at once again and again, and no byte is lost", arguments: 1...6)
    func crossing(_ seed: UInt64) throws {
        let often = settings { $0.frames = 6 + seed * 3 }
        #expect(try exchanges(client: often, server: often, seed: seed * 1000) >= 8)
    }

    @Test("A limit of time counts from the last exchange")
    func time() throws {
        let tunnel = try Tunnel(settings: settings { $0.every = .seconds(60) }, serverSettings: settings { _ in })
        let stream = try tunnel.open()
        func rekeysAfter(_ seconds: Int) -> UInt64 {
            tunnel.bench.pass(.seconds(seconds))
            stream.application.write([1])
            tunnel.settle()
            return tunnel.bench.shard.counters.rekeys
        }
        #expect(rekeysAfter(5) == 0)
        // Time runs in heartbeats, as both ends would have it.
        for _ in 0..<10 { _ = rekeysAfter(5) }
        #expect(rekeysAfter(10) == 2)
        #expect(rekeysAfter(5) == 2)
        for _ in 0..<12 { _ = rekeysAfter(5) }
        #expect(tunnel.bench.shard.counters.rekeys == 4)
        #expect(stream.target.readAll().bytes.count == 25)
    }

    /// A forger and a server's carrier in a stream.
    private func serverInStream(_ settings: CommonSettings? = nil) throws -> (Forger, TestSocket) {
        let forger = try Forger(posingAs: .client, settings: settings ?? CommonSettings(rekey: Self.never))
        forger.send(.confirm)
        forger.open()
        return (forger, try forger.connectApp())
    }

    /// The peer's key out of a REKEY frame of `step`.
    private func key(_ frame: Forger.Frame?, step: UInt8) throws -> [UInt8] {
        let frame = try #require(frame)
        try #require(frame.type == .rekey && frame.plaintext.first == step)
        return Array(frame.plaintext.dropFirst())
    }

    @Test("Each direction changes at its own frame: the answer's sender behind the answer, the other behind done")
    func steps() throws {
        let (forger, target) = try serverInStream()
        let ephemeral = X25519.PrivateKey()
        forger.rekey(.offer(ephemeral.publicKey))
        forger.data([1])
        forger.settle()
        #expect(target.read() == .bytes([1]))
        let shared = try ephemeral.agree(with: key(forger.received().first, step: 2))
        forger.mixReceiving(shared)
        target.write([9])
        forger.settle()
        #expect(forger.received() == [Forger.Frame(type: .data, plaintext: [9])])
        forger.data([2])
        forger.rekey(.done)
        forger.mixSending(shared)
        forger.data([3])
        forger.settle()
        #expect(target.readAll().bytes == [2, 3])
        #expect(forger.bench.shard.counters.rekeys == 1)
    }

    @Test("A frame behind done that is still under the old entropy is refused")
    func oldEntropy() throws {
        let (forger, target) = try serverInStream()
        let ephemeral = X25519.PrivateKey()
        forger.rekey(.offer(ephemeral.publicKey))
        forger.settle()
        forger.rekey(.done)
        forger.data([3])
        forger.settle()
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
        #expect(target.readAll().bytes.isEmpty)
    }

    @Test("A server that has offered gives in when the client's offer crosses its own")
    func serverGivesIn() throws {
        let (forger, target) = try serverInStream(settings { $0.frames = 6 })
        forger.data([0])
        forger.data([0])
        for _ in 0..<4 { forger.send(.pong) }
        forger.settle()
        _ = try key(forger.received().first, step: 1)
        let ephemeral = X25519.PrivateKey()
        forger.rekey(.offer(ephemeral.publicKey))
        forger.settle()
        let shared = try ephemeral.agree(with: key(forger.received().first, step: 2))
        forger.mixReceiving(shared)
        forger.rekey(.done)
        forger.mixSending(shared)
        forger.data([7])
        forger.settle()
        #expect(target.readAll().bytes == [0, 0, 7])
        #expect(forger.carrier.phase == .streaming)
    }

    @Test("A client that has offered takes no notice of the server's offer that crosses its own")
    func clientInsists() throws {
        let forger = try Forger(posingAs: .server, settings: settings { $0.frames = 4 })
        let application = try forger.connectApp()
        for _ in 0..<5 { forger.data([5]) }
        forger.settle()
        let offer = try key(forger.received().last, step: 1)
        forger.rekey(.offer(X25519.PrivateKey().publicKey))
        let ephemeral = X25519.PrivateKey()
        forger.rekey(.answer(ephemeral.publicKey))
        let shared = try ephemeral.agree(with: offer)
        forger.mixSending(shared)
        forger.data([6])
        forger.settle()
        #expect(application.readAll().bytes == [5, 5, 5, 5, 5, 6])
        let done = forger.received()
        #expect(done == [Forger.Frame(type: .rekey, plaintext: [3])])
        forger.mixReceiving(shared)
        application.write([8])
        forger.settle()
        #expect(forger.received() == [Forger.Frame(type: .data, plaintext: [8])])
    }

    @Test("Nothing is offered to a device that may not go on: its stream is given up")
    func withdrawnBeforeOffer() throws {
        let (forger, target) = try serverInStream(settings { $0.frames = 6 })
        forger.owner.mayGoOn = false
        for _ in 0..<8 { forger.send(.pong) }
        forger.settle()
        let received = forger.received()
        #expect(!received.contains { $0.type == .rekey })
        #expect(received.last == Forger.Frame(type: .abort, plaintext: [CloseReason.authorisationWithdrawn.rawValue]))
        withExtendedLifetime(target) {}
    }

    @Test("An offer on a carrier that never had a stream ends it", arguments: [Side.client, .server])
    func idleOffer(_ role: Side) throws {
        let forger = try Forger(posingAs: role, settings: CommonSettings(rekey: Self.never))
        if role == .client { forger.send(.confirm) }
        forger.rekey(.offer(X25519.PrivateKey().publicKey))
        forger.settle()
        #expect(forger.owner.lostBecause == "protocol: REKEY offered on an idle carrier")
    }

    @Test("A client's offer that crossed the end of its stream is answered, and a second one ends the carrier")
    func lateOffer() throws {
        let (forger, target) = try serverInStream()
        target.shutdownWrite()
        forger.fin(total: 0)
        forger.settle()
        #expect(forger.received().map(\.type) == [.fin, .closed] && forger.carrier.phase == .idle)
        let ephemeral = X25519.PrivateKey()
        forger.rekey(.offer(ephemeral.publicKey))
        forger.settle()
        let shared = try ephemeral.agree(with: key(forger.received().first, step: 2))
        forger.mixReceiving(shared)
        forger.rekey(.done)
        forger.mixSending(shared)
        forger.settle()
        #expect(forger.carrier.phase == .idle && forger.bench.shard.counters.rekeys == 1)
        forger.rekey(.offer(X25519.PrivateKey().publicKey))
        forger.settle()
        #expect(forger.owner.lostBecause == "protocol: REKEY offered on an idle carrier")
    }

    @Test("A server's offer after the stream has ended ends the client's carrier")
    func serversLateOffer() throws {
        let forger = try Forger(posingAs: .server, settings: CommonSettings(rekey: Self.never))
        let application = try forger.connectApp()
        application.shutdownWrite()
        forger.settle()
        forger.fin(total: 0)
        forger.send(.closed)
        forger.settle()
        try #require(forger.carrier.phase == .idle)
        forger.rekey(.offer(X25519.PrivateKey().publicKey))
        forger.settle()
        #expect(forger.owner.lostBecause == "protocol: REKEY offered on an idle carrier")
    }

    @Test("Streams that end while an exchange becomes due leave no offer behind them", arguments: 1...8)
    func endsMeanwhile(_ frames: UInt64) throws {
        let often = settings { $0.frames = frames }
        let tunnel = try Tunnel(settings: often, serverSettings: often)
        for round in 0..<20 {
            let stream = try tunnel.open()
            for _ in 0..<round % 5 { stream.application.write([1]) }
            stream.application.shutdownWrite()
            stream.target.write([2])
            stream.target.shutdownWrite()
            tunnel.settle()
            _ = (stream.application.readAll(), stream.target.readAll())
            tunnel.settle()
            try #require(tunnel.isIdle, "round \(round)")
        }
        #expect(tunnel.clientOwner.lostBecause == nil && tunnel.serverOwner.lostBecause == nil)
    }

    @Test("An offer is answered only if the conversation may go on; otherwise the stream is given up")
    func withdrawn() throws {
        let tunnel = try Tunnel(settings: settings { $0.frames = 8 }, serverSettings: settings { _ in })
        tunnel.serverOwner.mayGoOn = false
        let stream = try tunnel.open()
        for _ in 0..<10 where tunnel.client.phase != .closed {
            stream.application.write([1])
            tunnel.settle()
        }
        #expect(tunnel.client.phase == .closed && tunnel.server.phase == .closed)
        #expect(tunnel.serverOwner.calls.contains(.mayGoOn))
        #expect(tunnel.clientOwner.brokenBecause == "the other side says: \(CloseReason.authorisationWithdrawn)")
    }
}
