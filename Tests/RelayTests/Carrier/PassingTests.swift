import Codec
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

/// Two carriers back to back, each of which may go from one of two shards to the other at any time.
private final class Wanderers {
    let benches: [Bench]
    let clientOwner = RecordingOwner()
    let serverOwner = RecordingOwner()
    private(set) var client: Carrier
    private(set) var server: Carrier
    private var streams: UInt64 = 0

    init(_ kinds: [LoopKind] = [.only, .only], link: Connection = .unix, settings: CommonSettings = CommonSettings())
        throws
    {
        benches = try kinds.map { try Bench($0) }
        let (clientEnd, serverEnd) = TestSocket.descriptors(link)
        let keys = crossedKeys()
        client = benches[0].carrier(
            .client, link: clientEnd, keys: keys.client(), phase: .idle, owner: clientOwner, settings: settings)
        server = benches[0].carrier(
            .server, link: serverEnd, keys: keys.server(), phase: .confirming, owner: serverOwner, settings: settings)
        client.due.insert(.confirm)
        client.advance()
        try #require(turn { serverOwner.calls == [.confirmed] })
    }

    deinit { for bench in benches { bench.endAll() } }

    func turn() { for bench in benches { bench.turn() } }

    func turn(until isDone: () throws -> Bool) rethrows -> Bool {
        let deadline = monotonicNow() + patience
        while try !isDone() {
            guard monotonicNow() < deadline else { return false }
            turn()
        }
        return true
    }

    /// Opens a stream; its ends as the applications see them.
    func open(_ kind: Connection = .unix) throws -> Tunnel.Stream {
        let (endpoint, application) = bench(of: client).accepted(kind)
        streams += 1
        client.open(
            OpenMessage(streamNumber: streams, source: .v4(0x7F00_0001, port: 4711), service: ServiceID("echo")!),
            for: endpoint)
        try #require(turn { server.phase == .dialing })
        let (dialled, target) = bench(of: server).connection(kind)
        server.connected(dialled)
        return Tunnel.Stream(application: application, target: target)
    }

    func bench(of carrier: Carrier) -> Bench { benches.first { $0.shard === carrier.shard }! }

    /// Takes one end to the other shard, if it can go now. False if it cannot.
    @discardableResult func pass(_ side: Side) throws -> Bool {
        let carrier = side == .client ? client : server
        guard carrier.phase == .streaming || carrier.phase == .idle else { return false }
        let there = benches.first { $0.shard !== carrier.shard }!
        let parcel = carrier.pack()
        #expect(carrier.phase == .closed && carrier.app == nil)
        let owner = side == .client ? clientOwner : serverOwner
        let continued = try #require(Carrier(continuing: parcel, on: there.shard, owner: owner))
        there.keep(continued)
        if side == .client { client = continued } else { server = continued }
        continued.advance()
        return true
    }

    /// Drives both flows to their ends while the carriers wander, one in `seldom` steps.
    func run(_ flows: [Flow], seldom: Int, seed: UInt64) throws -> Int {
        var generator = SeededGenerator(seed: seed)
        var passes = 0
        let ended = try turn {
            for flow in flows { flow.step() }
            if Int.random(in: 0..<seldom, using: &generator) == 0,
                try pass(Bool.random(using: &generator) ? .client : .server)
            {
                passes += 1
            }
            return flows.allSatisfy { $0.ending != nil }
        }
        #expect(ended, "stuck")
        for flow in flows { #expect(flow.isComplete) }
        return passes
    }

    var counters: Counters {
        benches.reduce(into: Counters()) { $0 += $1.shard.counters }
    }
    var lent: Int { benches.reduce(0) { $0 + $1.shard.regions.lent } }
    var isIdle: Bool { client.phase == .idle && server.phase == .idle && lent == 0 }
}

@Suite struct PassingTests {
    @Test(
        "Carriers that wander between loops in the middle of anything lose nothing, and go on with the next stream",
        arguments: [1, 100, 5_000, 300_000], [Connection.unix, .tcp])
    func wandering(_ largest: Int, _ kind: Connection) throws {
        let rekey = RekeySettings(frames: 20, bytes: .max / 4, every: .seconds(1_000_000_000))
        let count = min(1_000_000, largest * 2_000)
        for seed in 1...2 as ClosedRange<UInt64> {
            let wanderers = try Wanderers(link: kind, settings: CommonSettings(rekey: rekey))
            for round in 0..<2 as Range<UInt64> {
                let stream = try wanderers.open(kind)
                let seed = seed * 10 + round
                let passes = try wanderers.run(
                    [
                        Flow(count, from: stream.application, to: stream.target, largest: largest, seed: seed),
                        Flow(count, from: stream.target, to: stream.application, largest: largest, seed: ~seed),
                    ], seldom: 3, seed: seed)
                #expect(passes > 0)
                #expect(wanderers.turn { wanderers.isIdle })
                #expect(try wanderers.pass(.client) && wanderers.pass(.server))
            }
            let counters = wanderers.counters
            #expect(counters.brokenStreams == 0 && counters.streams == 4 && counters.rekeys > 0)
            #expect(counters.streamsOpen == 0 && counters.carriersOpen == 2)
            #expect(counters.bytesIn == UInt64(4 * count) && counters.bytesOut == UInt64(4 * count))
            #expect(wanderers.clientOwner.lostBecause == nil && wanderers.serverOwner.lostBecause == nil)
        }
    }

    @Test("What waits in the carrier's buffers goes along: the reader rests, the carrier moves, the reader goes on")
    func fullBuffers() throws {
        let wanderers = try Wanderers()
        let stream = try wanderers.open()
        var generator = SeededGenerator(seed: 7)
        let bytes = generator.bytes(4 << 20)
        // More than the sockets take, so that both carriers sit on what they have.
        var sent = 0
        for _ in 0..<100 {
            sent += stream.application.write(bytes[sent...])
            wanderers.turn()
        }
        #expect(sent < bytes.count && wanderers.lent > 0)
        let lent = wanderers.lent
        #expect(try wanderers.pass(.client) && wanderers.pass(.server))
        #expect(wanderers.benches[0].shard.regions.lent == 0 && wanderers.benches[1].shard.regions.lent >= lent)
        var received: [UInt8] = []
        #expect(
            wanderers.turn {
                if sent < bytes.count { sent += stream.application.write(bytes[sent...]) }
                received += stream.target.readAll().bytes
                return received.count == bytes.count
            })
        #expect(received == bytes)
    }

    @Test("A parcel that nobody takes resets the application, and the other end sees its stream broken")
    func dropped() throws {
        for side in [Side.client, .server] {
            let wanderers = try Wanderers(link: .tcp)
            let stream = try wanderers.open(.tcp)
            stream.application.write([1])
            stream.target.write([2])
            #expect(wanderers.turn { stream.target.read() == .bytes([1]) })
            #expect(wanderers.turn { stream.application.read() == .bytes([2]) })
            _ = (side == .client ? wanderers.client : wanderers.server).pack()
            let (near, far) =
                side == .client ? (stream.application, stream.target) : (stream.target, stream.application)
            #expect(wanderers.turn { near.read() == .broken(TestSocket.connectionReset) })
            #expect(wanderers.turn { far.read() == .broken(TestSocket.connectionReset) })
            let other = side == .client ? wanderers.serverOwner : wanderers.clientOwner
            #expect(other.brokenBecause != nil || other.lostBecause != nil)
            #expect(wanderers.counters.streamsOpen == 0 && wanderers.counters.carriersOpen == 0)
        }
    }

    @Test(
        "When the kernel refuses a socket the stream is reset, and each descriptor is closed once", arguments: [0, 1])
    func refused(_ which: Int) throws {
        let wanderers = try Wanderers(link: .tcp)
        let stream = try wanderers.open(.tcp)
        let target = stream.target
        let fds = [wanderers.server.link.endpoint.fd, try #require(wanderers.server.app).fd]
        var parcel: CarrierParcel? = wanderers.server.pack()
        let there = wanderers.benches[1]
        // It is there already: EEXIST.
        withExtendedLifetime(there.endpoint(fds[which])) {
            #expect(Carrier(continuing: parcel!, on: there.shard, owner: wanderers.serverOwner) == nil)
        }
        // Whoever gets the number next keeps it.
        let (one, other) = TestSocket.descriptors(.unix)
        let (near, far) = (TestSocket(one), TestSocket(other))
        parcel = nil
        near.write([5])
        #expect(far.read() == .bytes([5]))
        #expect(wanderers.turn { target.read() == .broken(TestSocket.connectionReset) })
    }

    @Test("A stream that uses up its turns belongs on the heavy loop; where there is none, and for small talk, never")
    func heavy() throws {
        for kind in [LoopKind.light, .only, .heavy] {
            let wanderers = try Wanderers([kind, .only], link: .tcp)
            let stream = try wanderers.open(.tcp)
            for round in 0..<50 as Range<UInt8> {
                stream.application.write([round])
                #expect(wanderers.turn { stream.target.read() == .bytes([round]) })
            }
            let (client, server) = (wanderers.clientOwner, wanderers.serverOwner)
            #expect(!client.calls.contains(.misplaced) && !server.calls.contains(.misplaced))
            let bytes = [UInt8](repeating: 1, count: 1 << 18)
            var received = 0
            #expect(
                wanderers.turn {
                    // More than one turn takes, as far as the kernel's buffers have grown by now.
                    for _ in 0..<8 { stream.application.write(bytes) }
                    received += stream.target.readAll().bytes.count
                    if kind != .light { return received > 32 << 20 }
                    return client.calls.contains(.misplaced) && server.calls.contains(.misplaced)
                })
            guard kind != .light else { continue }
            #expect(!client.calls.contains(.misplaced) && !server.calls.contains(.misplaced))
        }
    }

    @Test("On the heavy loop a stream is weighed at every heartbeat: what moved little goes back")
    func lightAgain() throws {
        let wanderers = try Wanderers([.heavy, .only])
        let stream = try wanderers.open()
        let bytes = [UInt8](repeating: 1, count: 1 << 18)
        func carry(_ count: Int) {
            var (sent, received) = (0, 0)
            #expect(
                wanderers.turn {
                    if sent < count { sent += stream.application.write(bytes.prefix(count - sent)) }
                    received += stream.target.readAll().bytes.count
                    return received == count
                })
        }
        let heartbeat = CarrierTimings(CommonSettings()).heartbeat
        func beat() {
            wanderers.benches[0].clock.advance(by: .nanoseconds(Int64(heartbeat + heartbeat / 8)))
            wanderers.turn()
        }
        for _ in 0..<3 {
            carry(2 << 20)
            beat()
            #expect(!wanderers.clientOwner.calls.contains(.misplaced))
        }
        carry(1000)
        beat()
        #expect(wanderers.clientOwner.calls.contains(.misplaced))
        #expect(wanderers.serverOwner.calls.contains(.misplaced))
    }
}
