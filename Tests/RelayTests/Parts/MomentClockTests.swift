// Where moments come from: the wall clock counts once.
import Pairing
import Testing

@testable import Relay

@Suite struct MomentClockTests {
    private let second: Nanoseconds = 1_000_000_000

    @Test("The first moment is the wall clock's, and each later one as much later as the time since boot")
    func rises() {
        let clock = MomentClock(wall: { 1_800_000_000_123_999_999 }, sinceBoot: { 500 * second })
        #expect(clock.moment(sinceBoot: 500 * second) == Moment(milliseconds: 1_800_000_000_123))
        #expect(clock.moment(sinceBoot: 500 * second + 1) == Moment(milliseconds: 1_800_000_000_124))
        #expect(clock.moment(sinceBoot: 560 * second) == Moment(milliseconds: 1_800_000_060_123))
        #expect(clock.moment(sinceBoot: .max) > clock.moment(sinceBoot: 560 * second))
    }

    @Test("A wall clock that is set back or forward after the start prolongs and shortens no life", arguments: [-1, 1])
    func set(_ days: Int64) {
        var (wall, sinceBoot) = (Int64(1_800_000_000_000_000_000), 7 * second)
        let clock = MomentClock(wall: { wall }, sinceBoot: { sinceBoot })
        let start = clock.moment(sinceBoot: sinceBoot)
        wall += days * 86_400_000_000_000
        sinceBoot += 3600 * second
        #expect(clock.moment(sinceBoot: sinceBoot) - start == .seconds(3600))
    }

    @Test("Two hosts that booted at different times agree on what time it is")
    func hosts() {
        let young = MomentClock(wall: { 1_800_000_000_000_000_000 }, sinceBoot: { second })
        let old = MomentClock(wall: { 1_800_000_009_000_000_000 }, sinceBoot: { 1_000_000 * second })
        #expect(young.moment(sinceBoot: 11 * second) == old.moment(sinceBoot: 1_000_001 * second))
    }

    @Test("A loop's moments count its sleep, and its timers do not")
    func sleep() throws {
        let clock = FakeClock()
        var slept: Nanoseconds = 0
        let shard = try Shard(
            index: 0, mailbox: try Mailbox(), clock: { clock.now }, sinceBoot: { clock.now + slept }, emit: { _ in })
        shard.turn(mayWait: false)
        let (moment, now) = (shard.moment, shard.now)
        #expect(shard.timeAsleep() == 0)
        slept = 3600 * second
        #expect(shard.moment == moment, "one turn, one moment")
        shard.turn(mayWait: false)
        #expect(shard.moment - moment == .seconds(3600))
        #expect(shard.now == now && shard.timeAsleep() == slept)
    }

    @Test("The process's moments follow the clock that counts sleep, from today on")
    func ofProcess() {
        let first = MomentClock.ofProcess.moment(sinceBoot: nowSinceBoot())
        #expect(first > Moment(milliseconds: 1_700_000_000_000))
        #expect(nowSinceBoot() + second > monotonicNow())
        #expect(MomentClock.ofProcess.moment(sinceBoot: nowSinceBoot()) >= first)
    }
}
