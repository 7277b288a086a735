// Time on a shard: nanoseconds of CLOCK_MONOTONIC, read once a turn. Lifetimes of conversations use
// ContinuousClock instead, which goes on while the machine sleeps.
internal import Glibc

/// Nanoseconds since some fixed moment of this boot.
typealias Nanoseconds = UInt64

/// The monotonic clock's reading now, in nanoseconds.
func monotonicNow() -> Nanoseconds {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// How long the machine has slept since it started, which the monotonic clock leaves out, in nanoseconds.
func timeAsleep() -> Nanoseconds {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    let sinceStart = UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    let awake = monotonicNow()
    return sinceStart &- min(awake, sinceStart)
}

extension Duration {
    /// This duration in whole nanoseconds; negative ones are 0, too long ones a century.
    var nanoseconds: Nanoseconds {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        guard seconds < 3_155_760_000 else { return 3_155_760_000_000_000_000 }
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }
}
