import Testing

@testable import Relay

@Suite struct BackoffTests {
    @Test("The longest delays double from the first up to the bound")
    func doubling() {
        var backoff = Backoff()
        let delays = (0..<12).map { _ in backoff.next(inDemand: false) { $0.upperBound } / 1_000_000 }
        #expect(delays == [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000])
    }

    @Test("Delays are drawn from the upper half of the bound")
    func jitter() {
        var backoff = Backoff()
        for expected in [25_000_000...50_000_000, 50_000_000...100_000_000] as [ClosedRange<Nanoseconds>] {
            _ = backoff.next(inDemand: false) { range in
                #expect(range == expected)
                return range.lowerBound
            }
        }
        var drawn: Set<Nanoseconds> = []
        for _ in 0..<64 {
            var fresh = Backoff()
            let delay = fresh.next(inDemand: false)
            #expect((25_000_000...50_000_000).contains(delay))
            drawn.insert(delay)
        }
        #expect(drawn.count > 1)
    }

    @Test("While applications wait, no delay is longer than the lower bound, however many failed before")
    func inDemand() {
        var backoff = Backoff()
        for _ in 0..<100 { _ = backoff.next(inDemand: false) }
        #expect(backoff.next(inDemand: true) { $0.upperBound } == Backoff.longestInDemand)
        #expect(backoff.next(inDemand: false) { $0.upperBound } == Backoff.longest)
    }

    @Test("After success it starts anew")
    func reset() {
        var backoff = Backoff()
        for _ in 0..<5 { _ = backoff.next(inDemand: false) }
        backoff.reset()
        #expect(backoff.next(inDemand: false) { $0.upperBound } == Backoff.first)
    }

    @Test("What is of no use is asked for ever more seldom, and no success along the way changes that")
    func useless() {
        var backoff = Backoff()
        let delays = (0..<9).map { _ in
            backoff.gotThrough()
            return backoff.nextAfterUseless { $0.upperBound } / 1_000_000
        }
        #expect(delays == [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
        #expect(backoff.isWary)
        backoff.reset()
        #expect(!backoff.isWary && backoff.nextAfterUseless { $0.upperBound } == Backoff.first)
    }

    @Test("An attempt that got through ends the pause for those that did not")
    func gotThrough() {
        var backoff = Backoff()
        for _ in 0..<5 { _ = backoff.next(inDemand: false) }
        backoff.gotThrough()
        #expect(backoff.next(inDemand: false) { $0.upperBound } == Backoff.first && !backoff.isWary)
    }
}
