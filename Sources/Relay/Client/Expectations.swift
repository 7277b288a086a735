// Which carriers should be heard, and when to look whether they were.
internal import DequeModule

/// A carrier that should be heard.
struct ExpectedWord: Equatable {
    let carrier: Ticket
    /// Nothing heard since then.
    let since: Nanoseconds
}

/// Those of one loop. Each carrier is in it once at most.
struct Expectations {
    /// In the order in which they began to be expected.
    private var fresh: Deque<ExpectedWord> = []
    /// Looked at once already, and to be looked at again soon.
    private var overdue: [ExpectedWord] = []
    /// When somebody is going to look; nil if nobody is.
    private var looksAt: Nanoseconds?
    /// The loop itself was late, so that what came may not have been read yet.
    private var wasLate = false

    /// `carrier` should be heard from `now` on. True if it is the only one of its kind, so that somebody has to look.
    mutating func add(_ carrier: Ticket, now: Nanoseconds) -> Bool {
        fresh.append(ExpectedWord(carrier: carrier, since: now))
        return fresh.count == 1
    }

    /// `carrier` is to be looked at soon again.
    mutating func lookAgain(at carrier: Ticket, since: Nanoseconds) {
        overdue.append(ExpectedWord(carrier: carrier, since: since))
    }

    /// When to look next, if that is before the look that was agreed on, which it replaces. `other` is when somebody
    /// else wants one.
    mutating func nextLook(now: Nanoseconds, or other: Nanoseconds?) -> Nanoseconds? {
        var next: Nanoseconds? = overdue.isEmpty ? nil : now &+ Silence.step
        if let first = fresh.first { next = min(next ?? .max, first.since &+ Silence.shortest) }
        if let other { next = min(next ?? .max, other) }
        guard let next, next < looksAt ?? .max else { return nil }
        looksAt = max(next, now &+ 1_000_000)
        return looksAt
    }

    /// The time to look has come: those to look at now. Nil if the loop was late, and should first read what has come.
    mutating func due(now: Nanoseconds) -> [ExpectedWord]? {
        let planned = looksAt ?? now
        looksAt = nil
        wasLate = !wasLate && now &- min(planned, now) >= Silence.step
        var all = wasLate ? [] : overdue
        if !wasLate { overdue = [] }
        while let first = fresh.first, now &- first.since >= Silence.shortest {
            fresh.removeFirst()
            all.append(first)
        }
        guard wasLate else { return all }
        overdue += all
        return nil
    }
}
