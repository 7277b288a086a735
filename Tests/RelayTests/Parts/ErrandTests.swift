import Synchronization
import Testing

@testable import Relay

/// Work that leaves a loop and comes back to it.
@Suite struct ErrandTests {
    /// Somebody on a loop.
    private final class Asker {
        var answers: [Int] = []
    }

    @Test("The answer comes back to the loop that asked, and not before its turn")
    func answered() throws {
        let bench = try Bench()
        let workers = Workers("test", threads: 1, capacity: 4)
        let asker = Asker()
        let done = Latch()
        #expect(
            workers.ask(for: asker, on: bench.shard.mailbox) {
                defer { done.open() }
                return 42
            } then: {
                $0.answers.append($1)
            })
        done.wait()
        #expect(asker.answers.isEmpty)
        #expect(bench.turn { !asker.answers.isEmpty })
        #expect(asker.answers == [42])
    }

    @Test("Answers of one worker come in the order in which they were asked for")
    func order() throws {
        let bench = try Bench()
        let workers = Workers("test", threads: 1, capacity: 100)
        let asker = Asker()
        for number in 0..<100 {
            #expect(
                workers.ask(for: asker, on: bench.shard.mailbox) {
                    number
                } then: {
                    $0.answers.append($1)
                })
        }
        #expect(bench.turn { asker.answers.count == 100 })
        #expect(asker.answers == Array(0..<100))
    }

    @Test("An answer that nobody waits for any more is dropped")
    func gone() throws {
        let bench = try Bench()
        var asker: Asker? = Asker()
        let called = Atomic(false)
        let errand = Errand<Asker, Int>(for: try #require(asker), on: bench.shard.mailbox) { _, _ in
            called.store(true, ordering: .relaxed)
        }
        errand.bring(1)
        asker = nil
        bench.turn()
        let wasCalled = called.load(ordering: .relaxed)
        #expect(!wasCalled)
    }

    @Test("The answer to a loop that has ended is dropped, asker or not")
    func loopEnded() throws {
        let mailbox = try Mailbox()
        let asker = Asker()
        let errand = Errand<Asker, Int>(for: asker, on: mailbox) { $0.answers.append($1) }
        #expect(mailbox.closeIfEmpty())
        errand.bring(1)
        #expect(mailbox.takeAll().isEmpty && asker.answers.isEmpty)
    }

    @Test("More than the queue holds is refused at once, and none of it is run")
    func full() throws {
        let bench = try Bench()
        let workers = Workers("test", threads: 1, capacity: 2)
        let asker = Asker()
        let (begun, mayGoOn) = (Latch(), Latch())
        func ask(_ number: Int) -> Bool {
            workers.ask(for: asker, on: bench.shard.mailbox) {
                begun.open()
                mayGoOn.wait()
                return number
            } then: {
                $0.answers.append($1)
            }
        }
        #expect(ask(1))
        begun.wait()
        // One is at work, two wait.
        #expect(ask(2) && ask(3) && !ask(4))
        for _ in 0..<3 { mayGoOn.open() }
        #expect(bench.turn { asker.answers.count == 3 })
        #expect(asker.answers == [1, 2, 3])
    }
}
