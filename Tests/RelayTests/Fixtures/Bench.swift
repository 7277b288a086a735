// A shard with a fake clock and what is needed to put carriers on it.
import Codec
import Pairing
import Settings
import Wire

@testable import Relay

/// One shard under test; its loop turns only when the test says so.
final class Bench {
    let clock = FakeClock()
    let shard: Shard
    /// What the shard has told the log.
    let events = EventRecorder()
    /// That of all carriers here.
    let conversation = ConversationIDMint(.generate()).mint()
    private var carriers: [Carrier] = []
    /// That of all carriers here: they are one device's.
    private let allowance = Allowance()

    /// `timeAsleep` is how long the machine has slept.
    init(_ kind: LoopKind = .only, timeAsleep: @escaping () -> Nanoseconds = { 0 }) throws {
        let (clock, events) = (clock, events)
        shard = try Shard(
            index: 0, kind: kind, mailbox: try Mailbox(), clock: { clock.now },
            sinceBoot: { clock.now + timeAsleep() }, emit: { events.add($0) })
    }

    deinit { endAll() }

    /// Ends every carrier, while their owners are still there.
    func endAll() { for carrier in carriers { carrier.end(.orderly) } }

    /// Puts the socket `fd` on the shard.
    func endpoint(_ fd: Int32) -> Endpoint {
        guard let endpoint = shard.poller.add(fd: fd) else { fatalError("epoll refuses a socket") }
        return endpoint
    }

    /// An endpoint, and the test's end of the same connection.
    func connection(_ kind: Connection = .unix) -> (Endpoint, TestSocket) {
        let (ours, tests) = TestSocket.descriptors(kind)
        return (endpoint(ours), TestSocket(tests))
    }

    /// An endpoint like one that a listener accepted: whoever drops its descriptor resets the connection.
    func accepted(_ kind: Connection = .unix) -> (Endpoint, TestSocket) {
        let (endpoint, socket) = connection(kind)
        resetWhenClosed(endpoint.fd, true)
        endpoint.resetsByDefault = true
        return (endpoint, socket)
    }

    /// A carrier on this shard over the socket `fd`. `owner` must live as long as the bench.
    func carrier(
        _ side: Side, link fd: Int32, keys: consuming CarrierKeys, phase: Carrier.Phase, owner: RecordingOwner,
        settings: CommonSettings = CommonSettings()
    ) -> Carrier {
        owner.allowance = allowance
        let peer = Peer(conversation, Identity.generate().publicKey)
        let carrier = Carrier(
            side: side, link: endpoint(fd), keys: keys, phase: phase, peer: peer, timings: CarrierTimings(settings),
            shard: shard, owner: owner)
        keep(carrier)
        return carrier
    }

    /// Looks after a carrier that a test put on this shard itself.
    func keep(_ carrier: Carrier) { carriers.append(carrier) }

    /// Lets the fake clock run on by `duration`, and one turn see it.
    func pass(_ duration: Duration) {
        clock.advance(by: duration)
        turn()
    }

    func turn() { shard.turn(mayWait: false) }

    /// Turns until nothing moves any more (unix sockets only: what is written is there at once).
    func settle() {
        var quiet = 0
        var before = progress
        while quiet < 4 {
            turn()
            let now = progress
            quiet = now == before ? quiet + 1 : 0
            before = now
        }
    }

    private var progress: [Int] {
        let counters = shard.counters
        return [counters.framesIn, counters.framesOut, counters.bytesIn, counters.bytesOut].map(Int.init)
            + carriers.flatMap { [$0.outStart, $0.outEnd, $0.filled, $0.parsed, $0.vectorFirst, $0.sharedStreams] }
    }

    /// Turns until `isDone`; false if that does not happen. Loopback TCP hands packets over in its own
    /// time, so there is a real deadline, far beyond what it needs.
    func turn(until isDone: () -> Bool) -> Bool {
        let deadline = monotonicNow() + patience
        while !isDone() {
            guard monotonicNow() < deadline else { return false }
            // Acknowledgements are looked for by the clock.
            if shard.lingerers(Farewell.self) > 0 { clock.advance(by: .milliseconds(1)) }
            turn()
        }
        return true
    }
}

#if ONCEWIRE_SANITIZER
    /// How long a test waits for what must come, in real time: a sanitizer makes everything ten times slower.
    let patience: Nanoseconds = 400_000_000_000
#else
    /// How long a test waits for what must come, in real time: far longer than it takes.
    let patience: Nanoseconds = 20_000_000_000
#endif

/// The keys of both ends of one carrier.
func crossedKeys(seed: UInt64 = 1) -> (client: () -> CarrierKeys, server: () -> CarrierKeys) {
    var generator = SeededGenerator(seed: seed)
    let prefix = generator.bytes(14)
    let toServer = (entropy: generator.bytes(32), personalization: generator.bytes(32))
    let toClient = (entropy: generator.bytes(32), personalization: generator.bytes(32))
    func keys(_ out: ([UInt8], [UInt8]), _ back: ([UInt8], [UInt8])) -> CarrierKeys {
        CarrierKeys(
            sending: EncoderSource(entropy: secret(out.0), personalization: out.1, prefix: prefix),
            receiving: DecoderSource(entropy: secret(back.0), personalization: back.1, prefix: prefix))
    }
    return ({ keys(toServer, toClient) }, { keys(toClient, toServer) })
}

private func secret(_ bytes: [UInt8]) -> Secret {
    let secret = Secret(count: bytes.count)
    secret.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
    return secret
}
