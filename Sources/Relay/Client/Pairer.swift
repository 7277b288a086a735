// Pairs, and pairs again, for all shards of a client: lives on the first shard, one attempt at a time,
// with a growing pause after each failed one.
internal import Pairing
internal import Settings
internal import Synchronization

/// Brings about the client's conversation. Not thread-safe: it belongs to the first shard.
final class Pairer: Sleeper {
    private unowned let role: ClientRole
    private var attempt: PairingAttempt?
    /// The attempt was answered; CONFIRMED is still to come.
    private var unconfirmed: (carrier: Carrier, conversation: Handoff<Conversation>)?
    private var backoff = Backoff()
    private var retry: Timer?
    private var confirmDeadline: Timer?
    private var startedAt: Nanoseconds = 0

    /// Attempts begin at least this far apart, however many application connections ask.
    private static let pace: Nanoseconds = 100_000_000

    init(_ role: ClientRole) { self.role = role }

    /// A conversation is wanted: `urgently` if application connections wait for it, `renewing` if one stands
    /// and another is to take its place. Otherwise a request that comes when one stands already (another
    /// shard asked a moment ago) is done.
    func request(urgently: Bool, renewing: Bool = false) {
        guard attempt == nil, unconfirmed == nil else { return }
        guard renewing || !role.shared.hasConversation(at: .now) else { return }
        if let retry {
            guard urgently else { return }
            retry.cancel()
            self.retry = nil
        }
        let earliest = startedAt &+ Self.pace
        if role.shard.now < earliest, startedAt > 0 {
            retry = role.shard.arm(self, after: earliest &- role.shard.now)
        } else {
            start()
        }
    }

    /// Gives up.
    func stop() {
        retry?.cancel()
        confirmDeadline?.cancel()
        attempt?.cancel()
        attempt = nil
        unconfirmed = nil
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === retry {
            retry = nil
            start()
        } else if timer === confirmDeadline {
            unconfirmed?.carrier.lost("the server did not confirm")
        }
    }

    private func start() {
        startedAt = role.shard.now
        let attempt = PairingAttempt(role) { [unowned self] in ended($0) }
        self.attempt = attempt
        attempt.start()
    }

    private func ended(_ result: PairingResult) {
        attempt = nil
        switch result {
        case .failed(let why): failed(why)
        case .answered(let carrier, let conversation):
            unconfirmed = (carrier, conversation)
            confirmDeadline = role.shard.arm(self, after: 5_000_000_000)
            role.adopt(carrier)
            carrier.advance()
        }
    }

    private func failed(_ why: String) {
        let delay = backoff.next(inDemand: role.shared.waiting.load(ordering: .relaxed) > 0)
        retry = role.shard.arm(self, after: delay)
        role.shard.emit(.pairingFailed(why, retryIn: .nanoseconds(delay)))
    }

    /// The pairing's carrier heard CONFIRMED: only now does the conversation count.
    func confirmed(_ carrier: Carrier) {
        guard unconfirmed?.carrier === carrier, let conversation = unconfirmed?.conversation.take() else { return }
        unconfirmed = nil
        confirmDeadline?.cancel()
        backoff.reset()
        let generation = role.shared.establish(conversation)
        role.shard.counters.pairings &+= 1
        role.shard.emit(.paired(role.shared.settings.serverKey, .nanoseconds(role.shard.now &- startedAt)))
        role.tellAll { $0.established(generation) }
    }

    /// A carrier ended; if it was the pairing's, the pairing failed.
    func carrierClosed(_ carrier: Carrier) {
        guard unconfirmed?.carrier === carrier else { return }
        unconfirmed = nil
        confirmDeadline?.cancel()
        failed("the connection ended before the server confirmed")
    }
}
