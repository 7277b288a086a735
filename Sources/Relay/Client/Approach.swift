// Reaches the configured server and does one handshake with it: looks its name up, connects, sends one message and reads
// one. What the messages are is the owner's: RESUME and ACCEPT for one more carrier, PAIR and PAIRED for a conversation.
internal import Codec
internal import Settings
internal import Wire

/// Why an approach came to nothing.
enum ApproachFailure {
    /// The server's name is not known, nobody answers there, or not in time.
    case unreached(String)
    /// This host lacks something that connecting takes, and what.
    case shortage(String)
    /// The server was reached, and closed the connection before it had the message.
    case closed
    /// The server was reached, and what it answered is none of the messages that were wanted.
    case useless(String)
}

/// Who approaches the server.
protocol ApproachOwner: AnyObject {
    /// The server is connected. Answer with `send`, now or later; the time for the server's answer has begun.
    func approachIsConnected()
    /// The answer has come, whole. Take the connection with `leave`, or end it with `cancel`.
    func approachIsAnswered(_ kind: HandshakeKind, _ message: [UInt8])
    /// It is over.
    func approachFailed(_ why: ApproachFailure)
}

/// A connection to the server on which both ends have proved themselves. Whoever has it makes it a carrier.
struct ProvenLink: ~Copyable {
    let endpoint: Endpoint
    let keys: CarrierKeys
    let peer: Peer

    /// The carrier that begins on it. It has CONFIRM to send.
    consuming func carrier(
        _ phase: Carrier.Phase, _ timings: CarrierTimings, on shard: Shard, owner: any CarrierOwner
    ) -> Carrier {
        let carrier = Carrier(
            side: .client, link: endpoint, keys: keys, phase: phase, peer: peer, timings: timings, shard: shard,
            owner: owner)
        carrier.due.insert(.confirm)
        return carrier
    }
}

/// One approach, for one owner, who is told of its end once, unless `cancel` or `leave` came first. Not thread-safe.
final class Approach: Driver, Dialler, Sleeper {
    private enum Phase {
        /// The name is being looked up.
        case asking
        case connecting(Dial)
        /// The owner is making its message.
        case connected(Endpoint)
        /// The message has left.
        case waiting(Endpoint)
        /// The owner is looking at the answer.
        case answered(Endpoint)
        case over
    }

    private let shared: ClientShared
    private let shard: Shard
    private weak var owner: (any ApproachOwner)?
    private var phase = Phase.asking
    private var reader: HandshakeReader
    /// One for reaching the server, and one for its answer.
    private var deadline: Timer?

    /// Only messages of the kinds in `wanted` are an answer.
    init(_ shared: ClientShared, on shard: Shard, wanting wanted: [HandshakeKind], for owner: any ApproachOwner) {
        self.shared = shared
        self.shard = shard
        self.owner = owner
        reader = HandshakeReader(wanted: wanted)
    }

    /// Looks the name up and connects. The owner may be told of a failure from within.
    func start() {
        let limit = shared.settings.timeouts.connect.nanoseconds
        let end = shard.now &+ limit
        deadline = shard.arm(self, after: limit)
        shared.resolver.resolve(shared.settings.server, for: shard, limit: limit) { [weak self] in
            self?.found($0, until: end)
        }
    }

    /// Sends the owner's message; the answer is read from now on.
    func send(_ message: [UInt8]) {
        guard case .connected(let endpoint) = phase else { return }
        guard endpoint.sendWhole(message) else { return fail(.closed) }
        phase = .waiting(endpoint)
        advance()
    }

    /// Gives the connection to the owner, who has seen the answer. Nil without one.
    func leave() -> Endpoint? {
        guard case .answered(let endpoint) = phase else { return nil }
        phase = .over
        deadline?.cancel()
        return endpoint
    }

    /// Ends it without a word to the owner.
    func cancel() {
        deadline?.cancel()
        switch phase {
        case .asking, .over: break
        case .connecting(let dial): dial.cancel()
        case .connected(let endpoint), .waiting(let endpoint), .answered(let endpoint): endpoint.close()
        }
        phase = .over
    }

    // MARK: Going on

    private func found(_ answer: ResolverAnswer, until end: Nanoseconds) {
        guard case .asking = phase else { return }
        switch answer {
        case .found(let addresses):
            let dial = Dial(addresses, on: shard, for: self)
            phase = .connecting(dial)
            dial.start(limit: end &- min(shard.now, end))
        case .failed(let why): fail(.unreached("the server's name cannot be looked up: \(why)"))
        case .timedOut: fail(.unreached("looking up the server's name timed out"))
        }
    }

    func dialled(_ result: DialResult) {
        switch result {
        case .connected(let endpoint):
            phase = .connected(endpoint)
            endpoint.driver = self
            deadline?.cancel()
            deadline = shard.arm(self, after: shared.settings.timeouts.answer.nanoseconds)
            owner?.approachIsConnected()
        case .failed(let error) where isShortage(error): fail(.shortage("resources exhausted: \(errorText(error))"))
        case .failed(let error): fail(.unreached(errorText(error)))
        case .timedOut: fail(.unreached("connecting timed out"))
        }
    }

    func advance() {
        guard case .waiting(let endpoint) = phase else { return }
        switch reader.read(from: endpoint) {
        case .more: return
        case .useless(let why): fail(.useless(why))
        case .message(let kind, let message):
            phase = .answered(endpoint)
            owner?.approachIsAnswered(kind, message)
        }
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        let timeouts = shared.settings.timeouts
        switch phase {
        case .asking, .connecting: fail(.unreached("no connection within \(inWords(timeouts.connect))"))
        default: fail(.unreached("no answer within \(inWords(timeouts.answer))"))
        }
    }

    private func fail(_ why: ApproachFailure) {
        cancel()
        owner?.approachFailed(why)
    }
}
