import Glibc
import Pairing
import Settings
import Testing

@testable import Relay

/// A resolver whose look-ups the test lets end, on a shard whose clock it moves.
@Suite struct ResolverTests {
    private let bench: Bench
    private let library: Library
    private let resolver: Resolver

    /// Stands for the C library: every look-up waits for the test.
    private final class Library: Sendable {
        struct State {
            var asked: [String] = []
            var open: [(host: String, latch: Latch)] = []
            var answers: [String: LookUp] = [:]
            var now: Nanoseconds = 0
        }
        let state = Guarded(State())

        func lookUp(_ host: String) -> LookUp {
            let latch = Latch()
            state.withLock { state in
                state.asked.append(host)
                state.open.append((host, latch))
            }
            latch.wait()
            return state.withLock { $0.answers[host] ?? .failed(EAI_AGAIN, "try again") }
        }

        /// Ends the look-up of `host` that is under way.
        func end(_ host: String, _ answer: LookUp) {
            state.withLock { state in
                state.answers[host] = answer
                guard let place = state.open.firstIndex(where: { $0.host == host }) else { return }
                state.open.remove(at: place).latch.open()
            }
        }

        func endAll() { for (host, _) in state.withLock({ $0.open }) { end(host, .failed(EAI_AGAIN, "over")) } }

        var asked: [String] { state.withLock { $0.asked } }
        var now: Nanoseconds {
            get { state.withLock { $0.now } }
            set { state.withLock { $0.now = newValue } }
        }
    }

    private final class Replies {
        var all: [String] = []
        func note(_ answer: ResolverAnswer) {
            switch answer {
            case .found(let addresses): all.append(addresses.map(\.text).joined(separator: " "))
            case .failed(let why): all.append("failed: \(why)")
            case .timedOut: all.append("timed out")
            }
        }
    }
    private let replies = Replies()

    init() throws {
        bench = try Bench()
        let library = Library()
        self.library = library
        resolver = Resolver(lookUp: { library.lookUp($0) }, clock: { library.now })
        library.now = bench.clock.now
    }

    private func pass(_ duration: Duration) {
        bench.clock.advance(by: duration)
        library.now = bench.clock.now
        bench.turn()
    }

    private func ask(_ host: String, _ port: UInt16 = 80, limit: Duration = .seconds(5)) {
        let replies = replies
        resolver.resolve(.tcp(host: host, port: port), for: bench.shard, limit: limit.nanoseconds) { replies.note($0) }
    }

    private func found(_ host: String) throws -> LookUp {
        .found([try #require(SocketAddress(literal: .tcp(host: host, port: 0)))])
    }

    /// Waits until so many look-ups have begun.
    private func expectAsked(_ hosts: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(
            bench.turn { library.asked.count >= hosts.count }, "\(library.asked)", sourceLocation: sourceLocation)
        #expect(library.asked == hosts, sourceLocation: sourceLocation)
    }

    /// Waits until there are so many replies.
    private func expectReplies(_ expected: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(bench.turn { replies.all.count >= expected.count }, sourceLocation: sourceLocation)
        #expect(replies.all == expected, sourceLocation: sourceLocation)
        replies.all = []
    }

    @Test("Whoever asks for a name while it is looked up joins that look-up, whatever the port")
    func joined() throws {
        for port: UInt16 in [80, 81, 80] { ask("a.test", port) }
        expectAsked("a.test")
        #expect(replies.all.isEmpty)
        library.end("a.test", try found("192.0.2.9"))
        expectReplies("192.0.2.9:80", "192.0.2.9:81", "192.0.2.9:80")
        #expect(library.asked.count == 1)
    }

    @Test("An answer is used for five seconds without asking, and not a moment longer")
    func freshness() throws {
        ask("a.test")
        expectAsked("a.test")
        library.end("a.test", try found("192.0.2.9"))
        expectReplies("192.0.2.9:80")
        pass(.milliseconds(4999))
        ask("a.test")
        expectReplies("192.0.2.9:80")
        #expect(resolver.known(.tcp(host: "a.test", port: 1), at: bench.shard.now) != nil)
        #expect(library.asked.count == 1)
        pass(.milliseconds(2))
        #expect(resolver.known(.tcp(host: "a.test", port: 1), at: bench.shard.now) == nil)
        ask("a.test")
        expectAsked("a.test", "a.test")
        library.end("a.test", try found("192.0.2.10"))
        expectReplies("192.0.2.10:80")
    }

    @Test("While a look-up hangs the last answer goes on, after a moment at first and then at once, for an hour")
    func stale() throws {
        ask("a.test")
        expectAsked("a.test")
        library.end("a.test", try found("192.0.2.9"))
        expectReplies("192.0.2.9:80")
        pass(.seconds(6))
        ask("a.test")
        expectAsked("a.test", "a.test")
        pass(.milliseconds(249))
        #expect(replies.all.isEmpty)
        pass(.milliseconds(1))
        expectReplies("192.0.2.9:80")
        ask("a.test")
        expectReplies("192.0.2.9:80")
        pass(.seconds(3590))
        ask("a.test")
        expectReplies("192.0.2.9:80")
        pass(.seconds(10))
        ask("a.test")
        pass(.seconds(4))
        #expect(replies.all.isEmpty)
        pass(.seconds(1))
        expectReplies("timed out")
        library.endAll()
    }

    @Test("A failure is the answer for one second, and before it an answer that was found is")
    func failures() throws {
        ask("a.test")
        expectAsked("a.test")
        library.end("a.test", .failed(EAI_AGAIN, "no name server"))
        expectReplies("failed: no name server")
        pass(.milliseconds(999))
        ask("a.test")
        expectReplies("failed: no name server")
        pass(.milliseconds(2))
        ask("a.test")
        expectAsked("a.test", "a.test")
        library.end("a.test", try found("192.0.2.9"))
        expectReplies("192.0.2.9:80")
        pass(.seconds(6))
        ask("a.test")
        expectAsked("a.test", "a.test", "a.test")
        library.end("a.test", .failed(EAI_AGAIN, "no name server"))
        expectReplies("192.0.2.9:80")
        ask("a.test")
        expectReplies("192.0.2.9:80")
        #expect(library.asked.count == 3)
    }

    @Test("A name that is said not to exist any more is used for half a minute")
    func denied() throws {
        ask("a.test")
        expectAsked("a.test")
        library.end("a.test", try found("192.0.2.9"))
        expectReplies("192.0.2.9:80")
        pass(.seconds(20))
        ask("a.test")
        expectAsked("a.test", "a.test")
        library.end("a.test", .failed(EAI_NONAME, "no such name"))
        expectReplies("192.0.2.9:80")
        pass(.seconds(11))
        ask("a.test")
        expectAsked("a.test", "a.test", "a.test")
        library.end("a.test", .failed(EAI_NONAME, "no such name"))
        expectReplies("failed: no such name")
    }

    @Test("Whoever asks waits no longer than it may, and the answer that comes afterwards is kept")
    func limit() throws {
        ask("a.test", limit: .milliseconds(300))
        expectAsked("a.test")
        pass(.milliseconds(299))
        #expect(replies.all.isEmpty)
        pass(.milliseconds(1))
        expectReplies("timed out")
        library.end("a.test", try found("192.0.2.9"))
        #expect(bench.turn { resolver.known(.tcp(host: "a.test", port: 80), at: bench.shard.now) != nil })
        #expect(replies.all.isEmpty)
    }

    @Test("However many names hang, those that were found before are looked up, and the others when it is their turn")
    func hanging() throws {
        ask("good.test")
        expectAsked("good.test")
        library.end("good.test", try found("192.0.2.9"))
        expectReplies("192.0.2.9:80")
        pass(.seconds(6))
        for number in 0..<100 { ask("hangs-\(number).test", limit: .seconds(60)) }
        #expect(bench.turn { library.asked.count == 1 + Resolver.mostUnproven })
        ask("good.test")
        #expect(bench.turn { library.asked.last == "good.test" })
        library.end("good.test", try found("192.0.2.10"))
        expectReplies("192.0.2.10:80")
        #expect(library.asked.count == 2 + Resolver.mostUnproven)
        // One that ends makes room for the next.
        library.end("hangs-0.test", .failed(EAI_AGAIN, "no"))
        expectReplies("failed: no")
        #expect(bench.turn { library.asked.count == 3 + Resolver.mostUnproven })
        #expect(
            bench.turn {
                library.endAll()
                return replies.all.count == 99
            })
        #expect(Set(library.asked).count == 101)
    }

    @Test("An answer that comes to a loop that waits no more is nobody's")
    func late() throws {
        ask("a.test", limit: .seconds(1))
        expectAsked("a.test")
        pass(.seconds(2))
        expectReplies("timed out")
        library.end("a.test", .failed(EAI_AGAIN, "no"))
        for _ in 0..<50 { bench.turn() }
        #expect(replies.all.isEmpty)
    }
}
