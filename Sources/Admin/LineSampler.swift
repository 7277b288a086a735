// Keeps log lines that others can cause at will from filling a disk. A pure value with the clock passed in.

/// A token bucket for one kind of line: a burst is written, then so many a minute. A line that is written tells how
/// many like it were not.
package struct LineSampler: Sendable {
    /// What to do with a line.
    package enum Verdict: Equatable, Sendable {
        /// Write it, and report that so many similar ones were suppressed since the last.
        case write(suppressed: Int)
        /// Do not write it.
        case suppress
    }

    /// Lines that may be written at once.
    package let burst: Int
    /// The time in which one more line is earned.
    package let interval: Duration

    private var tokens: Int
    private var lastEarned: ContinuousClock.Instant
    private var suppressed = 0

    /// - Parameters:
    ///   - burst: lines that may be written at once, at least 1.
    ///   - interval: the time in which one more line is earned, more than zero.
    package init(burst: Int, interval: Duration, at now: ContinuousClock.Instant) {
        self.burst = burst
        self.interval = interval
        tokens = burst
        lastEarned = now
    }

    /// Counts one line and tells whether to write it.
    package mutating func admit(at now: ContinuousClock.Instant) -> Verdict {
        earn(until: now)
        guard tokens > 0 else {
            suppressed += 1
            return .suppress
        }
        tokens -= 1
        return .write(suppressed: takeSuppressed())
    }

    /// How many lines were suppressed since the last one that was written; they then count as reported.
    package mutating func takeSuppressed() -> Int {
        defer { suppressed = 0 }
        return suppressed
    }

    /// Takes a token, without a word about lines that were suppressed; false if there is none.
    mutating func mayWrite(at now: ContinuousClock.Instant) -> Bool {
        earn(until: now)
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }

    /// Counts lines that were admitted and then not written.
    mutating func addSuppressed(_ lines: Int) { suppressed += lines }

    /// Whether nothing is remembered here that a new sampler would not know, but for lines suppressed.
    mutating func isFull(at now: ContinuousClock.Instant) -> Bool {
        earn(until: now)
        return tokens == burst
    }

    private mutating func earn(until now: ContinuousClock.Instant) {
        while tokens < burst, now - lastEarned >= interval {
            tokens += 1
            lastEarned += interval
        }
        // A full bucket earns nothing, however long it has been full.
        if tokens == burst { lastEarned = now }
    }
}
