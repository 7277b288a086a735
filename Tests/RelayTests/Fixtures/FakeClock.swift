// Time that moves only when a test says so.
@testable import Relay

/// The clock of a shard under test.
final class FakeClock {
    private(set) var now: Nanoseconds = 1_000_000_000_000

    func advance(by duration: Duration) { now += duration.nanoseconds }
}
