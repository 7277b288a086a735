import Testing
import Wire

@testable import Relay

@Suite struct OpeningsTests {
    private let client: ClientBench
    private let owner = RecordingOwner()
    private let a: ClientBench.Far
    private let b: ClientBench.Far

    init() throws {
        client = try ClientBench()
        a = try client.far(owner: owner)
        b = try client.far(owner: owner)
    }

    private func held(_ number: UInt64, until deadline: Nanoseconds = 100, in openings: inout Openings) -> TestSocket {
        let (application, socket) = client.application()
        openings.hold(number, application, of: a.client.peer.conversation, until: deadline)
        return socket
    }

    @Test("What is noted is to be asked about, once, on a carrier of its conversation")
    func ask() throws {
        var openings = Openings()
        #expect(openings.isEmpty && !openings.hasNew)
        for number in [7, 3, 5] as [UInt64] { openings.note(number, on: a.client) }
        openings.note(7, on: b.client)
        #expect(openings.hasNew && openings.unasked == [3, 5, 7])
        #expect(openings.numbers(on: b.client) == [])
        #expect(openings.ask(on: b.client) == [3, 5, 7], "in order")
        #expect(openings.ask(on: a.client) == [])
        #expect(openings.unasked.isEmpty)
        #expect(openings.numbers(on: a.client).sorted() == [3, 5, 7])
        let before = a.client.peer.conversation
        try client.establish()
        let other = try client.far(owner: owner)
        openings.note(9, on: a.client)
        #expect(openings.conversation == before)
        #expect(openings.ask(on: other.client) == [])
        #expect(openings.ask(on: b.client) == [9])
    }

    @Test("No more are asked about at once than a message holds; the others are next")
    func most() {
        var openings = Openings()
        let count = UInt64(StreamNumbersMessage.most) + 3
        for number in 1...count { openings.note(number, on: a.client) }
        let first = openings.ask(on: b.client)
        #expect(first.count == StreamNumbersMessage.most)
        openings.answered(on: b.client)
        let second = openings.ask(on: b.client)
        #expect(second.count == 3 && Set(first + second).count == Int(count))
    }

    @Test("What a carrier that falls silent was asked is asked elsewhere, but for what is settled")
    func elsewhere() {
        var openings = Openings()
        for number in 1...3 as ClosedRange<UInt64> { openings.note(number, on: a.client) }
        openings.hasNew = false
        _ = openings.ask(on: b.client)
        guard case .on(let carrier) = openings.settle(2) else {
            Issue.record("it was on a carrier")
            return
        }
        let again = openings.settle(2)
        #expect(carrier === a.client && again == nil)
        openings.askElsewhere(than: a.client)
        #expect(!openings.hasNew, "nothing was asked there")
        openings.askElsewhere(than: b.client)
        #expect(openings.hasNew && openings.unasked == [1, 3])
        openings.askElsewhere(than: b.client)
        _ = openings.ask(on: b.client)
        openings.answered(on: b.client)
        openings.askElsewhere(than: b.client)
        #expect(openings.unasked.isEmpty, "who has answered is not waited for")
    }

    @Test("A carrier that is forgotten takes its streams along, but not those that are held by now")
    func forget() {
        var openings = Openings()
        for number in 1...3 as ClosedRange<UInt64> { openings.note(number, on: a.client) }
        openings.note(4, on: b.client)
        _ = openings.ask(on: b.client)
        let application = held(2, in: &openings)
        openings.forget(a.client)
        #expect(Set(openings.all.keys) == [2, 4] && openings.heldCount == 1)
        #expect(openings.unasked.isEmpty, "the one that is held is being asked about")
        openings.forget(b.client)
        #expect(Set(openings.all.keys) == [2] && openings.unasked == [2])
        withExtendedLifetime(application) {}
    }

    @Test("Applications are held until their time is over, each for itself, and counted")
    func deadlines() throws {
        var openings = Openings()
        let sockets = [held(1, until: 50, in: &openings), held(2, until: 60, in: &openings)]
        #expect(openings.heldCount == 2 && openings.nextDeadline == 50 && openings.unasked == [1, 2])
        let overdue = [49, 55, 55].map { openings.nextOverdue(now: $0) != nil }
        #expect(overdue == [false, true, false] && openings.heldCount == 1)
        #expect(openings.nextDeadline == 60)
        let last = openings.settle(2)
        #expect(last != nil && openings.isEmpty && openings.heldCount == 0 && openings.nextDeadline == nil)
        withExtendedLifetime(sockets) {}
    }

    @Test("One that was settled in time is not overdue, though its moment comes")
    func settledInTime() {
        var openings = Openings()
        let sockets = (1...3 as ClosedRange<UInt64>).map { held($0, until: $0 * 10, in: &openings) }
        _ = openings.settle(1)
        let next = openings.nextOverdue(now: 20)
        #expect(next != nil && openings.heldCount == 1 && openings.all[3] != nil)
        withExtendedLifetime(sockets) {}
    }
}
