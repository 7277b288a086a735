// Pairs, and pairs again, for all shards of a client: lives on the first shard, one attempt at a time,
// with a growing pause after each failed one, and after each conversation that came to nothing.
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
    /// Nobody's hurry cuts this pause short: the server is there, and asking it costs both ends.
    private var isRetryFixed = false
    private var confirmDeadline: Timer?
    private var startedAt: Nanoseconds = 0
    /// The conversation that was judged last, by its generation: one REJECT counts once.
    private var judged: UInt64 = 0

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
            guard urgently, !isRetryFixed else { return }
            retry.cancel()
            self.retry = nil
        }
        if hasComeToNothing { return pause(for: backoff.nextAfterUseless(), isFixed: true) }
        let earliest = startedAt &+ Self.pace
        if role.shard.now < earliest, startedAt > 0 {
            pause(for: earliest &- role.shard.now, isFixed: false)
        } else {
            start()
        }
    }

    /// Whether the server has rejected the last conversation before anything came of it. A conversation whose carriers
    /// were of use makes good what was before.
    private var hasComeToNothing: Bool {
        let last = role.shared.lastConversation
        if last.wasUseful { backoff.reset() }
        guard last.generation != judged else { return false }
        judged = last.generation
        return last.isRejected && !last.wasUseful
    }

    private func pause(for delay: Nanoseconds, isFixed: Bool) {
        isRetryFixed = isFixed
        retry = role.shard.arm(self, after: delay)
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
            let limit = role.settings.timeouts.answer
            unconfirmed?.carrier.lost("the server did not confirm within \(inWords(limit))")
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
        case .unreached(let why):
            if let event = role.shared.watch.unreached(why, at: role.shard.now) { role.shard.emit(event) }
            let isInDemand = role.shared.waiting.load(ordering: .relaxed) > 0
            failed(why, retryIn: backoff.next(inDemand: isInDemand), isFixed: false)
        case .failed(let why): failed(why, retryIn: backoff.nextAfterUseless(), isFixed: true)
        case .answered(let carrier, let conversation):
            unconfirmed = (carrier, conversation)
            confirmDeadline = role.shard.arm(self, after: role.settings.timeouts.answer.nanoseconds)
            role.adopt(carrier)
            carrier.advance()
        }
    }

    private func failed(_ why: String, retryIn delay: Nanoseconds, isFixed: Bool) {
        pause(for: delay, isFixed: isFixed)
        let server = role.settings.server.description
        role.shard.emit(.pairingFailed(server: server, why, retryIn: .nanoseconds(delay)))
    }

    /// The pairing's carrier heard CONFIRMED: only now does the conversation count.
    func confirmed(_ carrier: Carrier) {
        guard unconfirmed?.carrier === carrier, let conversation = unconfirmed?.conversation.take() else { return }
        unconfirmed = nil
        confirmDeadline?.cancel()
        backoff.gotThrough()
        let generation = role.shared.establish(conversation)
        role.shard.counters.pairings &+= 1
        let settings = role.settings
        role.shard.emit(
            .paired(
                with: "server \(settings.serverKey.text)", at: settings.server.description,
                .nanoseconds(role.shard.now &- startedAt)))
        role.tellAll { $0.established(generation) }
    }

    /// A carrier ended; if it was the pairing's, the pairing failed.
    func carrierClosed(_ carrier: Carrier) {
        guard unconfirmed?.carrier === carrier else { return }
        unconfirmed = nil
        confirmDeadline?.cancel()
        failed(
            "the connection ended before the server confirmed", retryIn: backoff.nextAfterUseless(), isFixed: true)
    }
}
