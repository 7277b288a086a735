// Which sampler a line belongs to. There is one for each kind of line and each service or device it is about, so
// that one in trouble does not hide another. One more is over all of a kind, so that thousands in trouble do not
// fill the disk either.

/// Samplers by kind and subject. A pure value with the clock passed in; its memory is bounded.
struct SamplerTable: Sendable {
    /// About one subject ten lines of a kind at once, then one every six seconds.
    private static let burst = 10
    private static let interval = Duration.seconds(6)
    /// About all of them together a thousand at once, then one every second. That is at most 86,400 lines a day and
    /// kind, some 15 MB, however long a flood lasts.
    private static let burstOfKind = 1000
    private static let intervalOfKind = Duration.seconds(1)
    /// Subjects remembered at once. Further ones share a sampler.
    static let capacity = 2048
    /// A full table is searched for room no more often than this.
    private static let sweepPause = Duration.seconds(1)

    private struct Key: Hashable {
        let kind: Int
        let subject: String
    }
    private var samplers: [Key: LineSampler] = [:]
    /// By kind: over all subjects; its suppressed lines are those of subjects that were forgotten.
    private var kinds: [LineSampler]
    private var sweptAt: ContinuousClock.Instant

    /// A table for the kinds 0 to `kinds` - 1.
    init(kinds: Int, at now: ContinuousClock.Instant) {
        self.kinds = Array(
            repeating: LineSampler(burst: Self.burstOfKind, interval: Self.intervalOfKind, at: now), count: kinds)
        sweptAt = now - Self.sweepPause
    }

    /// How many subjects are remembered.
    var count: Int { samplers.count }

    /// Counts one line and tells whether to write it.
    mutating func admit(kind: Int, _ subject: String, at now: ContinuousClock.Instant) -> LineSampler.Verdict {
        let key = key(kind, subject, at: now)
        var sampler = samplers[key] ?? LineSampler(burst: Self.burst, interval: Self.interval, at: now)
        defer { samplers[key] = sampler }
        guard case .write(let suppressed) = sampler.admit(at: now) else { return .suppress }
        guard kinds[kind].mayWrite(at: now) else {
            sampler.addSuppressed(suppressed + 1)
            return .suppress
        }
        return .write(suppressed: suppressed)
    }

    /// By kind, how many lines were suppressed and not reported; they then count as reported.
    mutating func takeSuppressed() -> [Int] {
        var counts = kinds.indices.map { kinds[$0].takeSuppressed() }
        for key in samplers.keys { counts[key.kind] += samplers[key]?.takeSuppressed() ?? 0 }
        return counts
    }

    /// The sampler of `subject`, or the one that is shared when there is no room for another.
    private mutating func key(_ kind: Int, _ subject: String, at now: ContinuousClock.Instant) -> Key {
        let key = Key(kind: kind, subject: subject)
        if samplers[key] != nil || samplers.count < Self.capacity { return key }
        if now - sweptAt >= Self.sweepPause {
            sweptAt = now
            forgetIdle(at: now)
            if samplers.count < Self.capacity { return key }
        }
        return Key(kind: kind, subject: "")
    }

    private mutating func forgetIdle(at now: ContinuousClock.Instant) {
        for (key, sampler) in samplers {
            var sampler = sampler
            guard sampler.isFull(at: now) else { continue }
            kinds[key.kind].addSuppressed(sampler.takeSuppressed())
            samplers[key] = nil
        }
    }
}
