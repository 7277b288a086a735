// The clock of lifetimes. It looks at the wall clock once, when the process begins to ask, and counts on from there with
// CLOCK_BOOTTIME: a clock that somebody sets back or forward prolongs and shortens nothing, and sleep counts.
internal import CLinux
internal import Glibc
internal import Pairing

/// Turns nanoseconds since boot into moments.
struct MomentClock: Sendable {
    /// Nanoseconds between 1970 and the boot, by the wall clock of the beginning.
    private let boot: Int64

    /// `wall` is asked for nanoseconds since 1970, and `sinceBoot` for those since boot: now, and never again.
    init(wall: () -> Int64 = wallNow, sinceBoot: () -> Nanoseconds = nowSinceBoot) {
        boot = wall() &- Int64(clamping: sinceBoot())
    }

    /// The moment that is `sinceBoot` nanoseconds after boot. Rises with it.
    func moment(sinceBoot: Nanoseconds) -> Moment {
        let (sum, isOver) = boot.addingReportingOverflow(Int64(clamping: sinceBoot))
        return Moment(milliseconds: (isOver ? .max : sum) / 1_000_000)
    }

    /// That of this process.
    static let ofProcess = MomentClock()
}

private func wallNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
}
