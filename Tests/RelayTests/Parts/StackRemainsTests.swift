// What public-key work leaves on the stacks of loops and workers.

import CHarness
import Glibc
import Pairing
import Testing

@testable import Relay

@Suite("Remains on the stacks of loops and workers")
struct StackRemainsTests {
    private static let size = 40 * 1024
    private static let pattern: UInt8 = 0xA5

    /// How much of the pattern is left, from the deepest byte upwards, after a turn of a loop that sleeps.
    @inline(never)
    private func leftAfterTurn(handlingSecrets: Bool) throws -> Int {
        let shard = try Shard(index: 0, mailbox: try Mailbox(), emit: { _ in })
        let alarm = Alarm()
        // Once before, so that what is done but once is done.
        for isLast in [false, true] {
            let timer = shard.arm(alarm, after: 1)
            let lowest = ch_fill_stack(Self.size, Self.pattern)
            if handlingSecrets { shard.handledSecrets() }
            shard.turn()
            if isLast { return ch_count_pattern(lowest, Self.size, Self.pattern) }
            _ = timer
        }
        return 0
    }

    private final class Alarm: Sleeper {
        func wake(_ timer: Timer, now: Nanoseconds) {}
    }

    @Test("A loop that handled secrets overwrites its stack before it sleeps, and else leaves it as it is")
    func loop() throws {
        #expect(try leftAfterTurn(handlingSecrets: false) > Self.size / 4)
        #expect(try leftAfterTurn(handlingSecrets: true) == 0)
    }

    @Test("A worker overwrites its stack after every job")
    func worker() throws {
        let workers = Workers("test", threads: 1, capacity: 4)
        let places = Guarded<[UInt]>([])
        for round in 1...2 {
            let isQueued = workers.run {
                let lowest = ch_fill_stack(Self.size, Self.pattern)
                precondition(ch_count_pattern(lowest, Self.size, Self.pattern) > Self.size / 2)
                places.withLock { $0.append(UInt(bitPattern: lowest)) }
            }
            #expect(isQueued)
            let deadline = ContinuousClock.now + .seconds(5)
            var left = Self.size
            while left > 0, ContinuousClock.now < deadline {
                usleep(1000)
                let known = places.withLock { $0 }
                guard known.count == round, let place = known.last else { continue }
                left = ch_count_pattern(UnsafePointer(bitPattern: place)!, Self.size, Self.pattern)
            }
            #expect(left == 0, "what job \(round) left on the stack stays there")
        }
    }
}
