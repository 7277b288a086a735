import Testing

@testable import Relay

@Suite struct CountersTests {
    @Test("A sum adds every counter, the ones still to be invented included")
    func sum() throws {
        var sample = Counters()
        sample.pairings = 1
        sample.resumes = 2
        sample.strangers = 3
        sample.streams = 4
        sample.brokenStreams = 5
        sample.framesOut = 6
        sample.framesIn = 7
        sample.bytesOut = 8
        sample.bytesIn = 9
        sample.rekeys = 10
        sample.carriersOpen = 11
        sample.streamsOpen = 12
        sample.carriersIdle = 13
        sample.passes = 14
        var sum = sample
        sum += sample
        for (one, both) in zip(values(sample), values(sum)) {
            #expect(one > 0)
            #expect(both == 2 * one)
        }
    }

    private func values(_ counters: Counters) -> [Int] {
        Mirror(reflecting: counters).children.map { ($0.value as? Int) ?? ($0.value as? UInt64).map(Int.init) ?? -1 }
    }
}
