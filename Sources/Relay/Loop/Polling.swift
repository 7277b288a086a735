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

    private var shortWaits: UInt32 = 0
    private var needed = soonest
    private var successes: UInt32 = 0

    var isWorthwhile: Bool { shortWaits >= needed }

    /// The shard polled and then, if that brought nothing, slept: for `wait` nanoseconds in all until `events` came.
    mutating func waited(_ wait: Nanoseconds, for events: Int, polled: Bool) {
        if polled { judge(succeeded: wait <= Self.longest) }
        if wait <= Self.short, 1...Self.few ~= events {
            shortWaits = min(shortWaits + 1, Self.latest)
        } else {
            shortWaits = 0
        }
    }

    private mutating func judge(succeeded: Bool) {
        if succeeded {
            successes += 1
            guard successes >= needed else { return }
            needed = max(needed / 2, Self.soonest)
        } else {
            needed = min(needed * 2, Self.latest)
            shortWaits = 0
        }
        successes = 0
    }
}
