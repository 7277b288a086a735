// Conversations end when they must: a look every now and then notes those that are in use, tells clients of those that
// have ended, and wipes what has expired. Without carriers nothing is looked at, and without conversations nothing swept.
internal import Pairing
internal import Settings
internal import Vault

/// Looks after the conversations of one loop's carriers; on the first loop after those that have none, too.
final class ConversationKeeper: Sleeper {
    private let shard: Shard
    private let shared: ServerShared
    /// The shortest that conversations here may have.
    private var lifetimes: Lifetimes
    /// The loop's carriers that have been confirmed.
    private let carriers: () -> [Carrier]
    /// The next look at whether carriers' conversations live. None without carriers.
    private var upkeep: Timer?
    /// The vault's next sweep, on the first loop. None without conversations.
    private var sweeper: Timer?
    private var sweepsAt: Nanoseconds = 0
    private var sweptAt: Nanoseconds?

    /// A client that was told that its conversation has ended has so long to close its carriers.
    static let farewell: Nanoseconds = 5_000_000_000
    /// Looks and sweeps come no closer than this.
    private static let soonest: Nanoseconds = 50_000_000
    /// A loop's timers do not count the machine's sleep, moments do: nothing is left to a timer for longer.
    private static let latest: Nanoseconds = 60_000_000_000
    /// Sweeps are at most so much later than due, so that those of many conversations are done together.
    private static let mostLate: Nanoseconds = 10_000_000_000

    /// Conversations get `lifetimes`; `carriers` are those of the loop that have been confirmed.
    init(_ shared: ServerShared, _ lifetimes: Lifetimes, on shard: Shard, carriers: @escaping () -> [Carrier]) {
        self.shared = shared
        self.lifetimes = lifetimes
        self.shard = shard
        self.carriers = carriers
    }

    /// New conversations get `new`. Those that began before keep theirs, and are looked after as often as before at least.
    func adopt(_ new: Lifetimes) {
        lifetimes = Lifetimes(
            epoch: min(lifetimes.epoch, new.epoch), idle: min(lifetimes.idle, new.idle),
            lifetime: min(lifetimes.lifetime, new.lifetime))
        guard let upkeep else { return }
        upkeep.cancel()
        self.upkeep = shard.arm(self, after: Self.soonest)
    }

    /// There is a carrier: goes on if there was nothing to look after.
    func isNeeded() {
        if upkeep == nil { upkeep = shard.arm(self, after: usualPause) }
    }

    /// Between two looks, if no conversation expires before: a stream counts as a use until then.
    private var usualPause: Nanoseconds {
        return min(max(min(lifetimes.idle, lifetimes.lifetime).nanoseconds / 8, Self.soonest), Self.latest)
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === upkeep {
            upkeep = nil
            if let next = look(now) { upkeep = shard.arm(self, after: max(next, Self.soonest)) }
        } else if timer === sweeper {
            sweeper = nil
            if let due = shared.vault.nextSweep, due <= shard.moment { sweep(now) }
            sweepInTime()
        }
    }

    /// Notes that conversations with streams are in use, and parts with carriers of those that have ended. Returns after
    /// how long to look again; nil if there is nothing to look at.
    private func look(_ now: Nanoseconds) -> Nanoseconds? {
        let moment = shard.moment
        let carriers = carriers()
        var next = usualPause
        for carrier in carriers {
            if carrier.hasStream {
                shared.vault.touch(carrier.peer.conversation, at: moment, isInUse: true)
            } else if let expiry = shared.vault.expiry(of: carrier.peer.conversation, at: moment) {
                next = min(next, (expiry - moment).nanoseconds)
            } else if carrier.isRetiring, now &- carrier.retiredAt >= Self.farewell {
                // What was opened before LEAVING arrived had to find somebody who says no.
                carrier.end(.orderly)
            } else {
                carrier.retire()
                let since = carrier.isRetiring ? carrier.retiredAt : now
                next = min(next, Self.farewell &- min(now &- since, Self.farewell))
            }
        }
        return carriers.isEmpty ? nil : next
    }

    private func sweep(_ now: Nanoseconds) {
        sweptAt = now
        shard.handledSecrets()
        shard.warnOfUnlockedSecrets()
        let ended = shared.vault.sweep(at: shard.moment)
        if ended > 0 { shard.emit(.conversationEnded("\(ended) expired")) }
    }

    /// Wakes when the vault's next sweep is due (first loop only).
    func sweepInTime() {
        shard.warnOfUnlockedSecrets()
        guard let due = shared.vault.nextSweep else { return }
        let shortest = min(lifetimes.idle, lifetimes.lifetime, lifetimes.epoch).nanoseconds
        let pause = min(max(shortest / 8, Self.soonest), Self.mostLate)
        let earliest = sweptAt.map { $0 &+ pause } ?? shard.now
        let at = max(shard.now &+ min((due - shard.moment).nanoseconds, Self.latest), earliest)
        if let sweeper {
            guard at < sweepsAt else { return }
            sweeper.cancel()
        }
        sweepsAt = at
        sweeper = shard.arm(self, after: at &- shard.now)
    }
}
