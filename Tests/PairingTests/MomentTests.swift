// Moments are numbers that come from a disk or another host one day: nothing may trap, and borders are exact.

import Codec
import Testing

@testable import Pairing

@Suite("Moments")
struct MomentTests {
    @Test("A moment is what its milliseconds say, in every process and on every host")
    func plain() {
        let moment = Moment(milliseconds: 1_800_000_000_000)
        #expect(moment + .seconds(2) == Moment(milliseconds: 1_800_000_002_000))
        #expect(moment - .milliseconds(1) == Moment(milliseconds: 1_799_999_999_999))
        #expect(moment + .milliseconds(5) - moment == .milliseconds(5))
        #expect(moment - (moment + .seconds(3)) == .seconds(-3))
        #expect(moment < moment + .milliseconds(1) && moment - .milliseconds(1) < moment)
        #expect(moment + .microseconds(999) == moment, "fractions are dropped")
    }

    @Test(
        "Whatever is read from a disk, no sum ends the process",
        arguments: [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max],
        [Duration.seconds(Int64.min), .milliseconds(-1), .zero, .milliseconds(1), .seconds(Int64.max)])
    func extremes(_ milliseconds: Int64, _ duration: Duration) {
        let moment = Moment(milliseconds: milliseconds)
        #expect(duration >= .zero ? moment + duration >= moment : moment + duration <= moment)
        #expect(duration >= .zero ? moment - duration <= moment : moment - duration >= moment)
        let other = Moment(milliseconds: Int64.max &- milliseconds)
        #expect((moment - other > .zero) == (moment > other))
    }

    @Test("Idle time and lifetime end with their last millisecond, not before and not after")
    func borders() throws {
        let ends = TestEnds(lifetimes: Lifetimes(epoch: .seconds(60), idle: .seconds(600), lifetime: .seconds(6000)))
        var pair = try ends.pair()
        let idleEnd = ends.start + .seconds(600)
        expect(&pair, isExpired: false, at: idleEnd - .milliseconds(1))
        expect(&pair, isExpired: true, at: idleEnd)
        for second in stride(from: 500, to: 6000, by: 500) {
            pair.device.conversation.touch(at: ends.start + .seconds(second))
        }
        let end = ends.start + .seconds(6000)
        expect(&pair, isExpired: false, at: end - .milliseconds(1))
        expect(&pair, isExpired: true, at: end)
        #expect(pair.device.conversation.dueEpoch(at: ends.start + .milliseconds(59_999)) == 0)
        #expect(pair.device.conversation.dueEpoch(at: ends.start + .milliseconds(60_000)) == 1)
    }

    private func expect(_ pair: inout TestPair, isExpired: Bool, at now: Moment) {
        let found = pair.device.conversation.isExpired(at: now)
        #expect(found == isExpired)
    }
}
