import Testing

@testable import Relay

@Suite struct TimersTests {
    private final class Sleepy: Sleeper {
        func wake(_ timer: Timer, now: Nanoseconds) {}
    }
    private let sleepy = Sleepy()

    @Test("Timers come out in the order of their deadlines, whatever the order of arming")
    func order() {
        let timers = Timers()
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
        let timers = Timers()
        let armed = (0..<50).map { _ in timers.arm(sleepy, at: 10) }
        for timer in armed { #expect(timers.popDue(now: 10) === timer) }
        #expect(timers.popDue(now: 10) == nil)
    }

    @Test("A cancelled timer wakes nobody, and those behind it are not lost")
    func cancel() {
        let timers = Timers()
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
        let timers = Timers()
        let early = timers.arm(sleepy, at: 10)
        early.cancel()
        let late = timers.arm(sleepy, at: 20)
        #expect(timers.popDue(now: 19) == nil)
        #expect(timers.popDue(now: 20) === late)
    }

    @Test("A timer holds its sleeper until it has fired, is cancelled, or its shard is gone")
    func holds() {
        var timers: Timers? = Timers()
        for end in 0..<3 {
            weak var sleeper: Sleepy?
            var timer: Timer?
            do {
                let other = Sleepy()
                sleeper = other
                timer = timers?.arm(other, at: Nanoseconds(end + 1))
            }
            #expect(sleeper != nil)
            switch end {
            case 0: timers?.popDue(now: 1)?.fire(now: 1)
            case 1: timer?.cancel()
            default: timers = nil
            }
            #expect(sleeper == nil)
            timer?.cancel()
        }
    }

    @Test("What is cancelled in any order leaves the others in order, and nothing behind")
    func cancelMany() {
        let timers = Timers()
        var generator = SeededGenerator(seed: 11)
        var armed = (0..<500).map { _ in
            let deadline = Nanoseconds.random(in: 1...100, using: &generator)
            return (deadline, timers.arm(sleepy, at: deadline))
        }
        armed.shuffle(using: &generator)
        for (_, timer) in armed.prefix(300) { timer.cancel() }
        var left: [Nanoseconds] = []
        while let next = timers.next, timers.popDue(now: next) != nil { left.append(next) }
        #expect(left == armed.dropFirst(300).map(\.0).sorted())
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
