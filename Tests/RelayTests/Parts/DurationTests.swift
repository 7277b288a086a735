import Testing

@testable import Relay

@Suite struct DurationTests {
    @Test(
        "A duration becomes whole nanoseconds",
        arguments: [
            (.zero, 0), (.nanoseconds(1), 1), (.milliseconds(1500), 1_500_000_000),
            (.seconds(86_400), 86_400_000_000_000),
            (Duration(secondsComponent: 1, attosecondsComponent: 999_999_999), 1_000_000_000),
        ] as [(Duration, Nanoseconds)])
    func whole(_ duration: Duration, _ nanoseconds: Nanoseconds) {
        #expect(duration.nanoseconds == nanoseconds)
    }

    @Test("Negative durations are none, absurd ones a century, and neither traps")
    func extremes() {
        #expect(Duration.nanoseconds(-1).nanoseconds == 0)
        #expect(Duration.seconds(Int64.min).nanoseconds == 0)
        #expect(Duration.seconds(Int64.max).nanoseconds == 3_155_760_000_000_000_000)
    }
}
