import Testing

@testable import Relay

@Suite struct ExpectationsTests {
    private let carriers = (0..<4).map { _ in Ticket() }
    private let shortest = Silence.shortest
    private let step = Silence.step

    private func next(_ all: inout Expectations, now: Nanoseconds, or other: Nanoseconds? = nil) -> Nanoseconds? {
        all.nextLook(now: now, or: other)
    }

    private func due(_ all: inout Expectations, now: Nanoseconds) -> [ExpectedWord]? { all.due(now: now) }

    @Test("Where nothing is expected nobody looks")
    func nothing() {
        var all = Expectations()
        #expect(next(&all, now: 5) == nil)
    }

    @Test("The first carrier decides when to look, and that is agreed on once")
    func first() {
        var all = Expectations()
        #expect(all.add(carriers[0], now: 100) == true)
        #expect(next(&all, now: 100) == 100 + shortest)
        #expect(all.add(carriers[1], now: 50_000_000) == false)
        #expect(next(&all, now: 50_000_000) == nil, "that look is early enough")
        #expect(due(&all, now: 100 + shortest) == [ExpectedWord(carrier: carriers[0], since: 100)])
        #expect(next(&all, now: 100 + shortest) == 50_000_000 + shortest)
        #expect(due(&all, now: 50_000_000 + shortest) == [ExpectedWord(carrier: carriers[1], since: 50_000_000)])
        #expect(next(&all, now: 50_000_000 + shortest) == nil)
    }

    @Test("One that is to be looked at again is looked at after a step, before what has just begun")
    func again() {
        var all = Expectations()
        _ = all.add(carriers[0], now: 1_000_000_000)
        #expect(next(&all, now: 1_000_000_000) == 1_000_000_000 + shortest)
        all.lookAgain(at: carriers[1], since: 7)
        #expect(next(&all, now: 1_000_000_000) == 1_000_000_000 + step)
        #expect(due(&all, now: 1_000_000_000 + step) == [ExpectedWord(carrier: carriers[1], since: 7)])
    }

    @Test("Somebody else's moment counts as well")
    func other() {
        var all = Expectations()
        #expect(next(&all, now: 0, or: 50_000_000) == 50_000_000)
        _ = all.add(carriers[0], now: 0)
        #expect(next(&all, now: 0, or: 40_000_000) == 40_000_000)
        #expect(due(&all, now: 40_000_000) == [])
        #expect(next(&all, now: 40_000_000, or: nil) == shortest)
    }

    @Test("A moment that has passed is not looked at within the same millisecond for ever")
    func notAtOnce() {
        var all = Expectations()
        _ = all.add(carriers[0], now: 0)
        #expect(next(&all, now: 2 * shortest) == 2 * shortest + 1_000_000)
    }

    @Test("A loop that was late reads first: nothing is due then, and all of it at the next look")
    func late() {
        var all = Expectations()
        _ = all.add(carriers[0], now: 0)
        _ = next(&all, now: 0)
        all.lookAgain(at: carriers[1], since: 3)
        _ = all.add(carriers[2], now: 1_000)
        _ = all.add(carriers[3], now: shortest + step)
        let late = shortest + step
        #expect(due(&all, now: late) == nil)
        #expect(next(&all, now: late) == late + step)
        // It is late again, but has had its turn to read.
        let due = all.due(now: late + 2 * step)
        #expect(due?.map(\.carrier) == [carriers[1], carriers[0], carriers[2]])
        #expect(due?.map(\.since) == [3, 0, 1_000])
    }

    @Test("A look that comes a little late is no late loop")
    func littleLate() {
        var all = Expectations()
        _ = all.add(carriers[0], now: 0)
        _ = next(&all, now: 0)
        #expect(due(&all, now: shortest + step - 1)?.count == 1)
    }
}
