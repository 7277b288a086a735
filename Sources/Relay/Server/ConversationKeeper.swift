// Conversations end when they must: a look every now and then notes those that are in use, tells clients of those that
// have ended, and wipes what has expired.
internal import Pairing
internal import Settings
internal import Vault

/// Looks after the conversations of one loop's carriers; on the first loop after those that have none, too.
final class ConversationKeeper: Sleeper {
    private let shard: Shard
    private let shared: ServerShared
    /// The loop's carriers that have been confirmed.
    private let carriers: () -> [Carrier]
    private var timer: Timer?

    /// A client that was told that its conversation is over has so long to close its carriers.
    static let farewell: Nanoseconds = 5_000_000_000

    /// `carriers` are those of the loop that have been confirmed.
    init(_ shared: ServerShared, on shard: Shard, carriers: @escaping () -> [Carrier]) {
        self.shared = shared
        self.shard = shard
        self.carriers = carriers
    }

    /// There is a carrier: goes on if there was nothing to look after.
    func isNeeded() {
        if timer == nil { arm() }
    }

    private func arm() {
        let lifetimes = shared.settings.conversation
        let shortest = min(lifetimes.idle, lifetimes.lifetime, lifetimes.epoch).nanoseconds
        timer = shard.arm(self, after: min(max(shortest / 8, 50_000_000), 10_000_000_000))
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        let moment = ContinuousClock.now
        let carriers = carriers()
        for carrier in carriers {
            if carrier.hasStream {
                shared.vault.touch(carrier.peer.conversation, at: moment, isInUse: true)
            } else if !shared.vault.isLive(carrier.peer.conversation, at: moment) {
                end(carrier, now)
            }
        }
        shard.handledSecrets()
        if shard.index == 0 {
            shard.warnOfUnlockedSecrets()
            let ended = shared.vault.sweep(at: moment)
            if ended > 0 { shard.emit(.conversationEnded("\(ended) expired")) }
        }
        self.timer = nil
        // A loop for heavy streams that has none sleeps.
        if shard.kind != .heavy || !carriers.isEmpty { arm() }
    }

    /// The conversation of `carrier` has ended.
    private func end(_ carrier: Carrier, _ now: Nanoseconds) {
        guard carrier.isRetiring else { return carrier.retire() }
        // What was opened before LEAVING arrived must still find somebody who says no.
        if now &- carrier.retiredAt >= Self.farewell { carrier.end(.orderly) }
    }
}
