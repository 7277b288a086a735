import Testing
import Wire

@testable import Relay

@Suite struct CarrierDemandTests {
    private func missing(
        waitedFor: Int = 0, ahead: Int = 0, underWay: Int = 0, young: Int? = nil, isWary: Bool = false
    ) -> Int {
        CarrierDemand(waitedFor: waitedFor, ahead: ahead)
            .missing(underWay: underWay, young: young ?? underWay, isWary: isWary)
    }

    @Test("What is under way is not asked for twice")
    func underWay() {
        #expect(missing(waitedFor: 3, ahead: 2) == 5)
        #expect(missing(waitedFor: 3, ahead: 2, underWay: 4) == 1)
        #expect(missing(waitedFor: 3, ahead: 2, underWay: 5) <= 0)
        #expect(missing() <= 0 && missing(underWay: 7) <= 0)
    }

    @Test("However many are wanted, there is a most")
    func most() {
        #expect(missing(waitedFor: 1000) == CarrierDials.most)
        #expect(missing(waitedFor: 1000, underWay: CarrierDials.most) <= 0)
    }

    @Test("Beside dials that hang a few more are tried, if somebody waits, and no more than that")
    func hanging() {
        #expect(missing(waitedFor: 1, underWay: 1, young: 0) == 1)
        #expect(missing(waitedFor: 1, underWay: 2, young: 0) == 1)
        #expect(missing(waitedFor: 1, underWay: 3, young: 0) <= 0)
        #expect(missing(waitedFor: 1, underWay: 2, young: 1) <= 0, "the last one still has time")
        #expect(missing(ahead: 1, underWay: 1, young: 0) <= 0, "nobody waits")
    }

    @Test("After disappointments one carrier at a time is asked for, whoever waits")
    func wary() {
        #expect(missing(waitedFor: 50, ahead: 2, isWary: true) == 1)
        #expect(missing(waitedFor: 50, underWay: 1, isWary: true) <= 0)
        #expect(missing(waitedFor: 50, underWay: 1, young: 0, isWary: true) == 1, "that one hangs")
    }

    @Test("Waiting applications need a carrier each, those who share one between them", arguments: 0...2, 0...2)
    func waitingRoom(_ sharing: Int, _ own: Int) throws {
        let bench = try Bench()
        var room = WaitingRoom()
        var ends: [TestSocket] = []
        for index in 0..<sharing + own {
            let (endpoint, end) = bench.connection()
            ends.append(end)
            room.enter(
                Application(endpoint: endpoint, service: ServiceID("echo")!, source: .none, shares: index < sharing),
                until: 1)
        }
        #expect(room.carriers == own + min(1, sharing))
        while room.nextSharing() != nil {}
        #expect(room.carriers == own)
        withExtendedLifetime(ends) {}
    }
}
