// How long to wait before trying again: doubling, bounded, and never the same for two clients.

/// Delays between attempts to get something from a server: one that is away, or one that gives what is of no use, such
/// as a conversation that it does not know a moment later, or a carrier that it closes at once.
struct Backoff {
    /// The first delay, and the longest, in nanoseconds.
    static let first: Nanoseconds = 50_000_000
    static let longest: Nanoseconds = 5_000_000_000
    /// The longest while application connections wait for a server that is away.
    static let longestInDemand: Nanoseconds = 500_000_000
    /// A carrier that stayed so long was of use.
    static let useful: Nanoseconds = longest
    /// After so many that were not, one carrier at a time is asked for.
    private static let patience = 3

    /// Attempts that did not get through, since the last that did.
    private var failures = 0
    /// What was given and taken away, since something was last of use.
    private var disappointments = 0

    /// Something was of use.
    mutating func reset() {
        failures = 0
        disappointments = 0
    }

    /// An attempt got through; whether what it brought is of use will show.
    mutating func gotThrough() { failures = 0 }

    /// Whether so much was of no use that nothing should be asked for in number.
    var isWary: Bool { disappointments >= Self.patience }

    /// The delay after one more failed attempt: between half and all of the doubled one.
    mutating func next(inDemand: Bool, random: (ClosedRange<Nanoseconds>) -> Nanoseconds = { .random(in: $0) })
        -> Nanoseconds
    {
        defer { failures += 1 }
        return random(Self.range(after: failures, longest: inDemand ? Self.longestInDemand : Self.longest))
    }

    /// The delay after one more thing that was of no use, whoever waits: asking costs the server public-key work.
    mutating func nextAfterUseless(
        random: (ClosedRange<Nanoseconds>) -> Nanoseconds = { .random(in: $0) }
    ) -> Nanoseconds {
        defer { disappointments += 1 }
        return random(Self.range(after: disappointments, longest: Self.longest))
    }

    private static func range(after count: Int, longest: Nanoseconds) -> ClosedRange<Nanoseconds> {
        let delay = min(first << UInt64(min(count, 20)), longest)
        return delay / 2...delay
    }
}

/// A pause before the next attempt.
struct Pause {
    let timer: Timer
    /// Nobody's hurry cuts it short: the server is there, and asking it costs both ends.
    let isFixed: Bool
}
