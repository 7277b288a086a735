// When something of a conversation happened. Unlike an instant of one boot it can be stored, and another host or the
// next process can compare it with its own. Where it comes from is `Relay/Loop/MomentClock.swift`.

/// A point in time: whole milliseconds since 1970-01-01 00:00 UTC, leap seconds left out. Sums that do not fit stay at
/// the end of the range, so that no stored number can end the process.
package struct Moment: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970; negative before.
    package let milliseconds: Int64

    /// The moment so many milliseconds after the beginning of 1970.
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func < (a: Moment, b: Moment) -> Bool { a.milliseconds < b.milliseconds }

    /// Fractions of a millisecond are dropped.
    package static func + (moment: Moment, duration: Duration) -> Moment {
        let (sum, isOver) = moment.milliseconds.addingReportingOverflow(duration.wholeMilliseconds)
        return Moment(milliseconds: isOver ? (duration < .zero ? .min : .max) : sum)
    }

    /// Fractions of a millisecond are dropped.
    package static func - (moment: Moment, duration: Duration) -> Moment {
        let (difference, isOver) = moment.milliseconds.subtractingReportingOverflow(duration.wholeMilliseconds)
        return Moment(milliseconds: isOver ? (duration < .zero ? .max : .min) : difference)
    }

    /// How long after `b` the moment `a` is; negative if it is before.
    package static func - (a: Moment, b: Moment) -> Duration {
        let (difference, isOver) = a.milliseconds.subtractingReportingOverflow(b.milliseconds)
        return .milliseconds(isOver ? (a < b ? .min : .max) : difference)
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, isTooLong) = seconds.multipliedReportingOverflow(by: 1000)
        let (sum, isOver) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        return isTooLong || isOver ? (seconds < 0 ? .min : .max) : sum
    }
}
