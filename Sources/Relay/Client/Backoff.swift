// How long to wait before trying again: doubling, bounded, and never the same for two clients.

/// Delays between attempts to reach a server that is away.
struct Backoff {
    /// The first delay, and the longest, in nanoseconds.
    static let first: Nanoseconds = 50_000_000
    static let longest: Nanoseconds = 5_000_000_000
    /// The longest while application connections wait.
    static let longestInDemand: Nanoseconds = 500_000_000

    private var failures = 0

    /// An attempt went well.
    mutating func reset() { failures = 0 }

    /// The delay after one more failed attempt: between half and all of the doubled one.
    mutating func next(inDemand: Bool, random: (ClosedRange<Nanoseconds>) -> Nanoseconds = { .random(in: $0) })
        -> Nanoseconds
    {
        let doubled = Self.first << UInt64(min(failures, 20))
        failures += 1
        let delay = min(doubled, inDemand ? Self.longestInDemand : Self.longest)
        return random(delay / 2...delay)
    }
}
