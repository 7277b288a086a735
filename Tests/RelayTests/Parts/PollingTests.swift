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

    @Test("A few short waits in a row make it worthwhile, and one long wait ends that")
    func begins() {
        var polling = afterShortWaits(8)
        #expect(polling.isWorthwhile && !afterShortWaits(7).isWorthwhile)
        polling.waited(late, for: 1, polled: false)
        #expect(!polling.isWorthwhile)
    }

    @Test("A crowd of events at once, or none, ends it")
    func crowd() {
        for events in [0, 3, 50] {
            var polling = afterShortWaits(100)
            polling.waited(soon, for: events, polled: false)
            #expect(!polling.isWorthwhile, "\(events) events")
        }
    }

    @Test("Each time it was in vain the shard believes in it later, up to a bound, and successes win it back")
    func judgement() {
        var polling = Polling()
        var waits: [Int] = []
        for _ in 0..<16 {
            var count = 0
            while !polling.isWorthwhile {
                polling.waited(soon, for: 1, polled: false)
                count += 1
            }
            waits.append(count)
            polling.waited(late, for: 1, polled: true)
        }
        #expect(waits == waits.sorted() && waits.first == 8 && waits.last == 4096)
        for _ in 0..<20_000 { polling.waited(soon, for: 1, polled: true) }
        polling.waited(late, for: 1, polled: false)
        var count = 0
        while !polling.isWorthwhile {
            polling.waited(soon, for: 1, polled: false)
            count += 1
        }
        #expect(count == 8)
    }
}
