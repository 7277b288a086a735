// Whether it is worthwhile to poll before sleeping.
import Testing

@testable import Relay

@Suite("Polling before sleeping")
struct PollingTests {
    private let soon = Polling.longest / 2
    private let late = Polling.longest * 100

    private func afterShortWaits(_ count: Int) -> Polling {
        var polling = Polling()
        for _ in 0..<count { polling.waited(soon, for: 1, polled: false) }
        return polling
    }

    @Test("Nothing is polled for at first, nor while events come late")
    func idle() {
        var polling = Polling()
        #expect(!polling.isWorthwhile)
        for _ in 0..<1000 { polling.waited(late, for: 1, polled: false) }
        #expect(!polling.isWorthwhile)
    }

    @Test("A few short waits in a row make it worthwhile, and a long one makes them count anew")
    func begins() {
        #expect(afterShortWaits(8).isWorthwhile && !afterShortWaits(7).isWorthwhile)
        var polling = afterShortWaits(7)
        polling.waited(late, for: 1, polled: false)
        for _ in 0..<7 { polling.waited(soon, for: 1, polled: false) }
        #expect(!polling.isWorthwhile)
    }

    @Test("Crowds of events, or none, are no short waits")
    func crowds() {
        for events in [0, 3, 50] {
            var polling = Polling()
            for _ in 0..<100 { polling.waited(soon, for: events, polled: false) }
            #expect(!polling.isWorthwhile, "\(events) events")
        }
    }

    @Test("A crowd of events ends it")
    func crowd() {
        var polling = afterShortWaits(8)
        for _ in 0..<100 { polling.waited(soon, for: 1, polled: true) }
        polling.waited(soon, for: 3, polled: true)
        #expect(!polling.isWorthwhile)
    }

    @Test("One poll in vain among eight is worth it, and a row of them ends it")
    func credit() {
        var polling = afterShortWaits(8)
        for round in 0..<1000 {
            for _ in 0..<8 { polling.waited(soon, for: 1, polled: true) }
            polling.waited(late, for: 1, polled: true)
            #expect(polling.isWorthwhile, "round \(round)")
        }
        for _ in 0..<1000 { polling.waited(soon, for: 1, polled: true) }
        var inVain = 0
        while polling.isWorthwhile {
            polling.waited(late, for: 1, polled: true)
            inVain += 1
        }
        #expect(inVain == 4)
    }

    @Test("Each trial that fails makes the shard believe in it later, up to a bound, and successes win it back")
    func judgement() {
        var polling = Polling()
        var waits: [Int] = []
        for _ in 0..<16 {
            waits.append(trial(&polling))
            polling.waited(late, for: 1, polled: true)
        }
        #expect(waits == waits.sorted() && waits.first == 8 && waits.last == 4096)
        _ = trial(&polling)
        for _ in 0..<100 { polling.waited(soon, for: 1, polled: true) }
        polling.waited(soon, for: 3, polled: true)
        #expect(trial(&polling) == 8)
    }

    /// How many short waits it takes until polling is tried.
    private func trial(_ polling: inout Polling) -> Int {
        var count = 0
        while !polling.isWorthwhile {
            polling.waited(soon, for: 1, polled: false)
            count += 1
        }
        return count
    }
}
