// Time on a shard: nanoseconds of CLOCK_MONOTONIC, read once a turn. Lifetimes of conversations use moments instead
// (MomentClock.swift), which go on while the machine sleeps.
internal import Glibc

/// Nanoseconds since some fixed moment of this boot.
typealias Nanoseconds = UInt64

/// The monotonic clock's reading now, in nanoseconds.
func monotonicNow() -> Nanoseconds {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// Nanoseconds since the machine started, those that it slept included.
func nowSinceBoot() -> Nanoseconds {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
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
