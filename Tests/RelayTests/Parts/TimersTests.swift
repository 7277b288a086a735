import Testing

@testable import Relay

@Suite struct TimersTests {
    private final class Sleepy: Sleeper {
        func wake(_ timer: Timer, now: Nanoseconds) {}
    }
    private let sleepy = Sleepy()

    @Test("Timers come out in the order of their deadlines, whatever the order of arming")
    func order() {
        var timers = Timers()
        var expected: [(Nanoseconds, Timer)] = []
        var deadlines = (1...200).map { Nanoseconds($0) }
        var generator = SeededGenerator(seed: 7)
        deadlines.shuffle(using: &generator)
        for deadline in deadlines { expected.append((deadline, timers.arm(sleepy, at: deadline))) }
        expected.sort { $0.0 < $1.0 }
        for (deadline, timer) in expected {
            #expect(timers.next == deadline)
            #expect(timers.popDue(now: deadline - 1) == nil)
            #expect(timers.popDue(now: deadline) === timer)
        }
        #expect(timers.next == nil)
    }

    @Test("Timers with one deadline come out in the order of arming")
    func equalDeadlines() {
        var timers = Timers()
        let armed = (0..<50).map { _ in timers.arm(sleepy, at: 10) }
        for timer in armed { #expect(timers.popDue(now: 10) === timer) }
        #expect(timers.popDue(now: 10) == nil)
    }

    @Test("A cancelled timer wakes nobody, and those behind it are not lost")
    func cancel() {
        var timers = Timers()
        let first = timers.arm(sleepy, at: 1)
        let second = timers.arm(sleepy, at: 2)
        let third = timers.arm(sleepy, at: 3)
        first.cancel()
        third.cancel()
        #expect(timers.popDue(now: 5) === second)
        #expect(timers.popDue(now: 5) == nil)
        #expect(timers.next == nil)
    }

    @Test("A sleeper armed again is woken at the new deadline only")
    func armAgain() {
        var timers = Timers()
        let early = timers.arm(sleepy, at: 10)
        early.cancel()
        let late = timers.arm(sleepy, at: 20)
        #expect(timers.popDue(now: 19) == nil)
        #expect(timers.popDue(now: 20) === late)
    }

    @Test("A sleeper that is gone is not woken")
    func sleeperGone() {
        var timers = Timers()
        var other: Sleepy? = Sleepy()
        let timer = timers.arm(other!, at: 1)
        other = nil
        #expect(timer.sleeper == nil)
        #expect(timers.popDue(now: 1) == nil)
    }

    @Test("A shard wakes a sleeper once, at its deadline by the shard's clock, never before")
    func shard() throws {
        final class Counting: Sleeper {
            var wakings: [Nanoseconds] = []
            func wake(_ timer: Timer, now: Nanoseconds) { wakings.append(now) }
        }
        let bench = try Bench()
        let counting = Counting()
        let start = bench.clock.now
        _ = bench.shard.arm(counting, after: 1_000)
        bench.pass(.nanoseconds(999))
        #expect(counting.wakings == [])
        bench.pass(.nanoseconds(1))
        bench.pass(.seconds(1))
        #expect(counting.wakings == [start + 1_000])
    }
}
