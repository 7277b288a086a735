// Pairs, and pairs again, for all shards of a client: lives on the first shard, one attempt at a time,
// with a growing pause after each failed one, and after each conversation that came to nothing.
internal import Pairing
internal import Settings
internal import Synchronization

/// Who wants a conversation.
protocol PairerOwner: AnyObject {
    /// The server has answered PAIR: what waits for its CONFIRMED on this link is the carrier that is returned.
    func confirming(on link: consuming ProvenLink) -> Carrier
    func tellAllLoops(_ news: UpstreamNews)
}

/// Brings about the client's conversation. Not thread-safe: it belongs to the first shard.
final class Pairer: Sleeper {
    private let shared: ClientShared
    private let shard: Shard
    private unowned let owner: any PairerOwner
    private var attempt: PairingAttempt?
    /// The attempt was answered; CONFIRMED is still to come.
    private var unconfirmed: (carrier: Carrier, conversation: Handoff<Conversation>)?
    private var backoff = Backoff()
    private var pause: Pause?
    private var confirmDeadline: Timer?
    private var startedAt: Nanoseconds = 0
    /// The conversation that was judged last, by its generation: one REJECT counts once.
    private var judged: UInt64 = 0

    /// Attempts begin at least this far apart, however many application connections ask.
    private static let pace: Nanoseconds = 100_000_000

    init(_ shared: ClientShared, on shard: Shard, for owner: any PairerOwner) {
        self.shared = shared
        self.shard = shard
        self.owner = owner
    }

    /// A conversation is wanted: `urgently` if application connections wait for it, `renewing` if one stands
    /// and another is to take its place. Otherwise a request that comes when one stands already (another
    /// shard asked a moment ago) is done.
    func request(urgently: Bool, renewing: Bool = false) {
        guard attempt == nil, unconfirmed == nil else { return }
        guard renewing || !shared.hasConversation(at: shard.moment) else { return }
        if let pause {
            guard urgently, !pause.isFixed else { return }
            pause.timer.cancel()
            self.pause = nil
        }
        if hasComeToNothing { return wait(backoff.nextAfterUseless(), isFixed: true) }
        let earliest = startedAt &+ Self.pace
        if shard.now < earliest, startedAt > 0 {
            wait(earliest &- shard.now, isFixed: false)
        } else {
            start()
        }
    }

    /// Whether the server has rejected the last conversation before anything came of it. A conversation whose carriers
    /// were of use makes good what was before.
    private var hasComeToNothing: Bool {
        let last = shared.lastConversation
        if last.wasUseful { backoff.reset() }
        guard last.generation != judged else { return false }
        judged = last.generation
        return last.isRejected && !last.wasUseful
    }

    private func wait(_ delay: Nanoseconds, isFixed: Bool) {
        pause = Pause(timer: shard.arm(self, after: delay), isFixed: isFixed)
    }

    /// From time to time: moves the conversation's ratchet on, renews the conversation before its time is over, and ends
    /// it then.
    func lookAfterConversation() {
        shard.handledSecrets()
        shard.warnOfUnlockedSecrets()
        switch shared.sweep(at: shard.moment) {
        case .unchanged: break
        case .due: request(urgently: false, renewing: true)
        case .ended(let why):
            shard.emit(.conversationEnded(why))
            owner.tellAllLoops(.conversationExpired)
        }
    }

    /// Gives up.
    func stop() {
        pause?.timer.cancel()
        confirmDeadline?.cancel()
        attempt?.cancel()
        attempt = nil
        let carrier = unconfirmed?.carrier
        unconfirmed = nil
        carrier?.end(.orderly)
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === pause?.timer {
            pause = nil
            start()
        } else if timer === confirmDeadline {
            let limit = shared.settings.timeouts.answer
            unconfirmed?.carrier.lost(.local(.notConfirmedBack(limit.nanoseconds)))
        }
    }

    private func start() {
        startedAt = shard.now
        let attempt = PairingAttempt(shared, on: shard) { [unowned self] in ended($0) }
        self.attempt = attempt
        attempt.start()
    }

    private func ended(_ result: consuming PairingResult) {
        attempt = nil
        switch consume result {
        case .unreached(let why):
            if let event = shared.watch.unreached(why, at: shard.now) { shard.emit(event) }
            let isInDemand = shared.waiting.load(ordering: .relaxed) > 0
            failed(why, retryIn: backoff.next(inDemand: isInDemand), isFixed: false)
        case .failed(let why): failed(why, retryIn: backoff.nextAfterUseless(), isFixed: true)
        case .answered(let link, let conversation):
            let carrier = owner.confirming(on: link)
            unconfirmed = (carrier, conversation)
            confirmDeadline = shard.arm(self, after: shared.settings.timeouts.answer.nanoseconds)
            carrier.advance()
        }
    }

    private func failed(_ why: String, retryIn delay: Nanoseconds, isFixed: Bool) {
        wait(delay, isFixed: isFixed)
        shard.emit(.pairingFailed(server: shared.settings.server.description, why, retryIn: .nanoseconds(delay)))
    }

    /// The pairing's carrier heard CONFIRMED: only now does the conversation count.
    func confirmed(_ carrier: Carrier) {
        guard unconfirmed?.carrier === carrier, let conversation = unconfirmed?.conversation.take() else { return }
        unconfirmed = nil
        confirmDeadline?.cancel()
        backoff.gotThrough()
        shared.establish(conversation)
        shard.counters.pairings &+= 1
        let settings = shared.settings
        shard.emit(
            .paired(
                with: "server \(settings.serverKey.text)", at: settings.server.description,
                .nanoseconds(shard.now &- startedAt)))
        owner.tellAllLoops(.conversationStands)
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
