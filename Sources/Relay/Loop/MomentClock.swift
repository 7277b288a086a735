// The clock of lifetimes. It looks at the wall clock once, when the process begins to ask, and counts on from there with
// CLOCK_BOOTTIME: a clock that somebody sets back or forward prolongs and shortens nothing, and sleep counts.
internal import Glibc
internal import Pairing

/// Turns nanoseconds since boot into moments.
struct MomentClock: Sendable {
    /// Nanoseconds between 1970 and the boot, by the wall clock of the beginning.
    private let boot: Int64

    /// The wall clock says `wall` nanoseconds since 1970 when it is `sinceBoot` nanoseconds since boot.
    init(wall: Int64, sinceBoot: Nanoseconds) { boot = wall &- Int64(clamping: sinceBoot) }

    /// The moment that is `sinceBoot` nanoseconds after boot. Rises with it.
    func moment(sinceBoot: Nanoseconds) -> Moment {
        let (sum, isOver) = boot.addingReportingOverflow(Int64(clamping: sinceBoot))
        return Moment(milliseconds: (isOver ? .max : sum) / 1_000_000)
    }

    /// That of this process.
    static let ofProcess: MomentClock = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return MomentClock(wall: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec), sinceBoot: nowSinceBoot())
    }()
}
