// When to ask for events a little longer before going to sleep. A thread that sleeps is woken by way of the
// scheduler, which for a lone request and its answer costs more than everything else together; but a thread that
// asks in vain takes a processor from somebody who could use it. So a shard does it only while single events have
// been following each other closely, and believes that less readily each time it was wrong.

/// Whether a shard should poll before it sleeps, judged by its last waits.
struct Polling {
    /// How long it polls at most, in nanoseconds.
    static var longest: Nanoseconds { 50_000 }
    /// A wait is short up to here: a sleep's own end is in it, which polling would not have.
    private static var short: Nanoseconds { 100_000 }
    /// More events than these at once: there is enough to do without waiting for the next.
    private static var few: Int { 2 }
    /// Short waits in a row before polling is tried, at first and at most.
    private static var soonest: UInt32 { 8 }
    private static var latest: UInt32 { 4096 }
    /// What a trial begins with, and what a poll in vain costs of it; one that succeeds earns 1 back.
    private static var stake: Int { 8 }
    /// The most that can be earned: so many polls in vain, and no more, follow each other.
    private static var most: Int { 4 * stake }

    private var shortWaits: UInt32 = 0
    private var needed = soonest
    private var credit = 0

    var isWorthwhile: Bool { credit > 0 }

    /// The shard polled and then, if that brought nothing, slept: for `wait` nanoseconds in all until `events` came.
    mutating func waited(_ wait: Nanoseconds, for events: Int, polled: Bool) {
        if polled {
            judge(succeeded: wait <= Self.longest, events)
        } else if wait <= Self.short, 1...Self.few ~= events {
            shortWaits += 1
            if shortWaits >= needed { begin() }
        } else {
            shortWaits = 0
        }
    }

    private mutating func begin() {
        shortWaits = 0
        credit = Self.stake
    }

    private mutating func judge(succeeded: Bool, _ events: Int) {
        if events > Self.few {
            credit = 0
        } else if succeeded {
            credit += 1
            guard credit >= Self.most else { return }
            credit = Self.most
            needed = Self.soonest
        } else {
            credit -= Self.stake
            if credit <= 0 { needed = min(needed * 2, Self.latest) }
        }
    }
}
