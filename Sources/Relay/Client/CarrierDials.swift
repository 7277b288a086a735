// Opens carriers: as many as are missing, ahead of need and on demand, and again after failures.

/// How many carriers are wanted.
struct CarrierDemand: Equatable {
    /// Carriers that somebody waits for.
    var waitedFor: Int
    /// Those that are to be ready for the next ones besides.
    var ahead: Int

    /// How many dials are worth starting when `underWay` are, `young` of them for so short a time that they do not hang.
    /// `isWary`: so many carriers were of no use that one at a time is asked for.
    func missing(underWay: Int, young: Int, isWary: Bool) -> Int {
        let needed = min(waitedFor + ahead, isWary ? 1 : CarrierDials.most)
        return min(needed - young, needed + (waitedFor > 0 ? CarrierDials.mostBeside : 0) - underWay)
    }
}

/// Who wants carriers.
protocol CarrierDialsOwner: AnyObject {
    /// What is missing now.
    var demand: CarrierDemand { get }
    /// A further carrier was opened.
    func isOpened(_ link: consuming ProvenLink)
    /// There is no conversation that a carrier could be resumed from.
    func lacksConversation()
    /// The server does not know the conversation any more.
    func conversationIsRejected()
    /// A carrier could not be opened.
    func dialFailed(_ why: String)
    /// This host lacks something that opening a carrier takes.
    func dialIsShort(of what: String)
}

/// The dials of one upstream on one loop. Not thread-safe.
final class CarrierDials: Sleeper {
    private enum Phase {
        case ready
        /// Nothing is tried before the pause is over.
        case pausing(Pause)
        /// For good.
        case stopped
    }

    /// Carriers on their way at once.
    static let most = 64
    /// Failed dials are repeated no sooner than this, however many application connections ask.
    static let pace: Nanoseconds = 100_000_000
    /// A dial that takes longer may hang on a way that is gone: another one is tried beside it, up to so many.
    static let hanging: Nanoseconds = 2_000_000_000
    static let mostBeside = 2

    private let shared: ClientShared
    private let shard: Shard
    private unowned let owner: any CarrierDialsOwner
    private(set) var underWay: [Ticket: CarrierDial] = [:]
    private var phase = Phase.ready
    private var backoff = Backoff()
    private var startedAt: Nanoseconds = 0
    /// The next look at whether dials hang.
    private var look: Timer?

    init(_ shared: ClientShared, on shard: Shard, for owner: any CarrierDialsOwner) {
        self.shared = shared
        self.shard = shard
        self.owner = owner
    }

    /// Opens as many carriers as are missing, unless a pause has to be waited for.
    func refill() {
        guard case .ready = phase else { return }
        let demand = owner.demand
        let young = underWay.values.count { shard.now &- $0.since < Self.hanging }
        let missing = demand.missing(underWay: underWay.count, young: young, isWary: backoff.isWary)
        if demand.waitedFor > 0, look == nil, !underWay.isEmpty || missing > 0 {
            look = shard.arm(self, after: Self.hanging)
        }
        guard missing > 0 else { return }
        guard shared.hasConversation(at: shard.moment) else { return owner.lacksConversation() }
        startedAt = shard.now
        for _ in 0..<missing {
            let dial = CarrierDial(shared, on: shard) { [unowned self] in ended($0, $1) }
            underWay[dial.ticket] = dial
            dial.start()
        }
    }

    /// An application connection waits: a pause after failures is cut short, down to the pace.
    func hurry() {
        if case .pausing(let pause) = phase {
            guard !pause.isFixed else { return }
            pause.timer.cancel()
            phase = .ready
            let earliest = startedAt &+ Self.pace
            if shard.now < earliest { return wait(earliest &- shard.now, isFixed: false) }
        }
        refill()
    }

    /// What was wrong is not wrong any more: there is nothing to wait for.
    func endPause() {
        guard case .pausing(let pause) = phase else { return }
        pause.timer.cancel()
        phase = .ready
    }

    /// The server gave a carrier and took it away before it was of use: it is not asked again at once.
    func wasUseless() {
        guard case .ready = phase else { return }
        wait(backoff.nextAfterUseless(), isFixed: true)
    }

    /// A carrier was of use.
    func wasUseful() { backoff.reset() }

    /// Gives up, for good.
    func stop() {
        endPause()
        phase = .stopped
        for dial in underWay.values { dial.cancel() }
        underWay = [:]
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === look { look = nil } else { endPause() }
        refill()
    }

    private func wait(_ delay: Nanoseconds, isFixed: Bool) {
        phase = .pausing(Pause(timer: shard.arm(self, after: delay), isFixed: isFixed))
    }

    private func ended(_ dial: CarrierDial, _ result: consuming CarrierDialResult) {
        underWay[dial.ticket] = nil
        switch consume result {
        case .opened(let link):
            backoff.gotThrough()
            owner.isOpened(link)
            refill()
        case .rejected(let generation):
            // Another dial of that conversation has said so before.
            guard shared.rejected(generation: generation) else { return refill() }
            owner.conversationIsRejected()
        case .failed(let why):
            owner.dialFailed(why)
            pauseAfterFailure()
        case .shortage(let what):
            owner.dialIsShort(of: what)
            pauseAfterFailure()
        }
    }

    private func pauseAfterFailure() {
        guard case .ready = phase else { return }
        wait(backoff.next(inDemand: owner.demand.waitedFor > 0), isFixed: false)
    }
}
