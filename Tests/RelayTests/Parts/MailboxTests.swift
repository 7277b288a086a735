import Testing

@testable import Relay

@Suite struct MailboxTests {
    /// What arrived; touched only by letters, which the shard runs on one thread.
    private final class Arrivals: @unchecked Sendable {
        var letters: [(sender: Int, number: Int)] = []
    }

    /// Ends a test that waits in vain.
    private final class Watchdog: Sleeper {
        var hasBarked = false
        func wake(_ timer: Timer, now: Nanoseconds) { hasBarked = true }
    }

    @Test("Letters from other threads wake a sleeping shard, and arrive once and in order")
    func threads() throws {
        let (senders, count) = (4, 500)
        let mailbox = try Mailbox()
        let shard = try Shard(index: 0, mailbox: mailbox, emit: { _ in })
        let arrivals = Arrivals()
        let watchdog = Watchdog()
        _ = shard.arm(watchdog, after: 30_000_000_000)
        for sender in 0..<senders {
            startThread("test") {
                for number in 0..<count {
                    mailbox.post {
                        arrivals.letters.append((sender, number))
                        // A turn runs letters before it sleeps: the last one sees to it that it does not.
                        if arrivals.letters.count == senders * count { mailbox.post {} }
                    }
                }
            }
        }
        while arrivals.letters.count < senders * count, !watchdog.hasBarked { shard.turn() }
        #expect(!watchdog.hasBarked)
        for sender in 0..<senders {
            #expect(arrivals.letters.filter { $0.sender == sender }.map(\.number) == Array(0..<count))
        }
        shard.turn(mayWait: false)
        #expect(arrivals.letters.count == senders * count)
    }

    @Test("A letter that posts again is answered in a later turn")
    func again() throws {
        let bench = try Bench()
        let arrivals = Arrivals()
        let mailbox = bench.shard.mailbox
        mailbox.post {
            arrivals.letters.append((0, 1))
            mailbox.post { arrivals.letters.append((0, 2)) }
        }
        bench.turn()
        #expect(arrivals.letters.map(\.number) == [1])
        bench.turn()
        #expect(arrivals.letters.map(\.number) == [1, 2])
    }

    @Test("A letter to a shard that is gone is dropped")
    func gone() throws {
        let mailbox = try Mailbox()
        var shard: Shard? = try Shard(index: 0, mailbox: mailbox, emit: { _ in })
        let arrivals = Arrivals()
        shard?.turn(mayWait: false)
        shard = nil
        mailbox.post { arrivals.letters.append((0, 0)) }
        #expect(arrivals.letters.isEmpty)
    }
}
