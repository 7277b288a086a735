import Testing
import Wire

@testable import Relay

@Suite struct WaitingRoomTests {
    private let bench: Bench
    private let applications: [Application]
    private let ends: [TestSocket]

    init() throws {
        let bench = try Bench()
        self.bench = bench
        let pairs = (0..<4).map { _ in bench.connection() }
        ends = pairs.map(\.1)
        applications = pairs.map {
            Application(endpoint: $0.0, service: ServiceID("echo")!, source: .none, shares: true)
        }
    }

    @Test("Who came first is served first")
    func firstComeFirstServed() {
        var room = WaitingRoom()
        #expect(room.isEmpty && room.nextDeadline == nil)
        for application in applications { room.enter(application, until: 100) }
        #expect(room.count == 4)
        for application in applications { #expect(room.next()?.endpoint === application.endpoint) }
        #expect(room.next() == nil)
    }

    @Test("Only those whose deadline has passed are overdue, and each once")
    func overdue() {
        var room = WaitingRoom()
        for (index, application) in applications.enumerated() {
            room.enter(application, until: 10 + UInt64(index) * 10)
        }
        #expect(room.nextDeadline == 10)
        #expect(room.nextOverdue(now: 9) == nil)
        #expect(room.nextOverdue(now: 20)?.endpoint === applications[0].endpoint)
        #expect(room.nextOverdue(now: 20)?.endpoint === applications[1].endpoint)
        #expect(room.nextOverdue(now: 20) == nil)
        #expect(room.nextDeadline == 30)
        #expect(room.count == 2)
    }

    @Test("Those who want a carrier of their own are counted as they come and go")
    func unshared() {
        var room = WaitingRoom()
        for (index, application) in applications.enumerated() {
            let shares = index % 2 == 0
            let one = Application(
                endpoint: application.endpoint, service: application.service, source: .none, shares: shares)
            room.enter(one, until: 10)
        }
        #expect(room.count == 4 && room.unshared == 2)
        #expect(room.next()?.shares == true)
        #expect(room.count == 3 && room.unshared == 2)
        #expect(room.nextOverdue(now: 10)?.shares == false)
        #expect(room.count == 2 && room.unshared == 1)
        #expect(room.nextOverdue(now: 9) == nil)
        #expect(room.unshared == 1)
        while room.next() != nil {}
        #expect(room.isEmpty && room.unshared == 0)
    }
}
