// A client's one server on one loop: what comes of carriers that open, answer, leave and break, and of the streams on them.
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct UpstreamTests {
    /// The role: it has the applications.
    private final class Role: UpstreamOwner {
        var ending = ClientEnding.serving
        var waiting = WaitingRoom()
        var turnedAway: [String] = []
        var pairings: [Bool] = []
        var news: [UpstreamNews] = []
        var misplaced: [Carrier] = []
        var ends = 0
        var looks = 0
        var onServe: ((Application) -> Void)?

        var carriersWaitedFor: Int { waiting.carriers }
        func nextWaiting(sharing: Bool) -> Application? { sharing ? waiting.nextSharing() : waiting.next() }
        func serve(_ application: Application) { onServe?(application) }
        func turnAway(_ application: Application, _ why: String) {
            application.endpoint.reset()
            turnedAway.append(why)
        }
        func requestPairing(urgently: Bool) { pairings.append(urgently) }
        func tellAllLoops(_ news: UpstreamNews) { self.news.append(news) }
        func carrierIsMisplaced(_ carrier: Carrier) { misplaced.append(carrier) }
        func carrierHasEnded() { ends += 1 }
        func leaveIfDone() { looks += 1 }
    }

    private let client: ClientBench
    private let role = Role()
    private let upstream: Upstream

    init() throws { (client, upstream) = try Self.make(role, PoolSettings(floor: 0, cap: 4)) }

    private static func make(_ role: Role, _ pool: PoolSettings, _ kind: LoopKind = .only) throws
        -> (ClientBench, Upstream)
    {
        let client = try ClientBench(kind)
        let upstream = Upstream(
            client.shared, on: client.bench.shard, pool: CarrierPool(floor: pool.floor, cap: pool.cap), for: role)
        role.onServe = { [unowned role, unowned upstream] application in
            if !upstream.takes(application) { role.waiting.enter(application, until: .max) }
        }
        return (client, upstream)
    }

    /// A carrier that was just opened.
    private func opened(_ client: ClientBench? = nil, _ upstream: Upstream? = nil) throws -> ClientBench.Far {
        let upstream = upstream ?? self.upstream
        return try (client ?? self.client).far { link in
            let before = Set(upstream.carriers.all.keys)
            upstream.isOpened(link)
            return try #require(upstream.carriers.all.values.first { !before.contains($0.ticket) })
        }
    }

    /// A carrier that is opened and not needed; returns the server's end.
    private func surplus() throws -> TestSocket {
        let (socket, _) = try client.link { upstream.isOpened($0) }
        return TestSocket(socket)
    }

    private func wait(shares: Bool) -> TestSocket {
        let (application, socket) = client.application(shares: shares)
        role.waiting.enter(application, until: .max)
        return socket
    }

    private var pool: [Ticket] { upstream.carriers.pool.all.map(\.ticket) }

    // MARK: Streams that begin

    @Test("Without a conversation or a carrier an application is not taken")
    func nothing() throws {
        let (application, socket) = client.application()
        #expect(!upstream.takes(application))
        let far = try opened()
        #expect(pool == [far.client.ticket])
        client.shared.forget()
        #expect(!upstream.takes(application), "a carrier is as good as its conversation")
        application.endpoint.reset()
        withExtendedLifetime(socket) {}
    }

    @Test("Applications that share do so on one carrier; one that does not has its own")
    func takes() throws {
        let fars = [try opened(), try opened()]
        let shared = [client.application(), client.application()]
        for (application, _) in shared { #expect(upstream.takes(application)) }
        let trunk = try #require(upstream.carriers.trunk)
        #expect(trunk.sharedStreams == 2 && upstream.carriers.pool.count == 1 && upstream.openStreams == 2)
        let (own, socket) = client.application(shares: false)
        #expect(upstream.takes(own))
        #expect(trunk.sharedStreams == 2 && upstream.carriers.pool.count == 0 && upstream.openStreams == 3)
        let (another, other) = client.application(shares: false)
        #expect(!upstream.takes(another), "there is none left")
        another.endpoint.reset()
        withExtendedLifetime((fars, shared, socket, other)) {}
    }

    @Test("Streams are numbered on, whatever carrier they are on, and reach the server")
    func numbers() throws {
        let fars = [try opened(), try opened()]
        for far in fars { far.wake() }
        let applications = [client.application(), client.application(shares: false), client.application()]
        for (application, _) in applications { #expect(upstream.takes(application)) }
        client.bench.settle()
        let numbers = fars.flatMap { far in
            far.owner.calls.compactMap { call -> UInt64? in
                switch call {
                case .opens(let message), .opensShared(let message): message.streamNumber
                default: nil
                }
            }
        }
        #expect(numbers.sorted() == [1, 2, 3])
        withExtendedLifetime(applications) {}
    }

    @Test("A carrier whose server has gone is not given to anybody", arguments: [true, false])
    func gone(_ shares: Bool) throws {
        let (good, gone) = (try opened(), try opened())
        gone.close()
        let (application, socket) = client.application(shares: shares)
        #expect(upstream.takes(application))
        #expect(gone.client.phase == .closed && good.client.hasStream)
        withExtendedLifetime(socket) {}
    }

    @Test("The shared carrier that takes no more makes room for the next", arguments: [true, false])
    func nextTrunk(_ isGone: Bool) throws {
        let fars = [try opened(), try opened()]
        let (first, firstSocket) = client.application()
        #expect(upstream.takes(first))
        let trunk = try #require(upstream.carriers.trunk)
        if isGone { fars.first { $0.client === trunk }?.close() } else { upstream.carrierLeaves(trunk) }
        let (second, secondSocket) = client.application()
        #expect(upstream.takes(second))
        #expect(upstream.carriers.trunk !== trunk && trunk.isRetiring)
        #expect(upstream.carriers.trunk?.sharedStreams == 1)
        withExtendedLifetime((fars, firstSocket, secondSocket)) {}
    }

    // MARK: Carriers that come

    @Test("A new carrier that streams share serves all that may share it, and nobody who wants one of its own")
    func serves() throws {
        let sockets = [wait(shares: true), wait(shares: false), wait(shares: true)]
        let first = try opened()
        #expect(upstream.carriers.trunk === first.client && first.client.sharedStreams == 2)
        #expect(role.waiting.count == 1 && role.waiting.unshared == 1)
        #expect(upstream.demand.waitedFor == 1 && !upstream.dials.underWay.isEmpty)
        let second = try opened()
        #expect(second.client.phase == .streaming && role.waiting.isEmpty)
        upstream.stop()
        withExtendedLifetime(sockets) {}
    }

    @Test("One that waits for a carrier of its own gets the first that comes, the others wait on")
    func own() throws {
        let sockets = [wait(shares: false), wait(shares: false)]
        let first = try opened()
        #expect(first.client.phase == .streaming && role.waiting.count == 1)
        let second = try opened()
        #expect(second.client.phase == .streaming && role.waiting.isEmpty && upstream.openStreams == 2)
        withExtendedLifetime((sockets, first)) {}
    }

    @Test("Nobody waits: the carrier is kept, up to the cap, and one more is closed in order")
    func cap() throws {
        let fars = try (0..<4).map { _ in try opened() }
        let end = try surplus()
        #expect(upstream.carriers.pool.count == 4 && upstream.carriers.all.count == 4)
        #expect(end.readAll().then == .ended)
        #expect(client.bench.shard.counters.resumes == 5 && role.looks > 0)
        #expect(client.bench.events.all == [], "that is no loss")
        withExtendedLifetime(fars) {}
    }

    @Test("While the loop drains one carrier is kept, to log off on")
    func keepsOne() throws {
        role.ending.drain()
        let (far, end) = (try opened(), try surplus())
        #expect(pool == [far.client.ticket] && end.readAll().then == .ended)
    }

    @Test("What is idle on a loop for heavy streams belongs on the other one")
    func heavyLoop() throws {
        let (client, upstream) = try Self.make(role, PoolSettings(floor: 0, cap: 4), .heavy)
        let far = try opened(client, upstream)
        upstream.carriers.pool.remove(far.client)
        upstream.carrierIsIdle(far.client)
        #expect(far.client.isMisplaced && upstream.carriers.pool.count == 0)
        far.client.advance()
        #expect(role.misplaced.map(\.ticket) == [far.client.ticket])
    }

    @Test("An idle carrier of a conversation that is over is closed, unless the loop drains", arguments: [true, false])
    func oldConversation(_ drains: Bool) throws {
        let far = try opened()
        upstream.carriers.pool.remove(far.client)
        try client.establish()
        if drains { role.ending.drain() }
        upstream.carrierIsIdle(far.client)
        #expect((far.client.phase == .idle) == drains)
    }

    // MARK: Carriers that end

    @Test("A carrier that breaks is in no list any more, and the log and the role hear of it")
    func breaks() throws {
        let far = try opened()
        far.client.lost(.link(.hostGone))
        #expect(upstream.carriers.isEmpty && upstream.carriers.pool.count == 0 && role.ends == 1)
        let trunk = try opened()
        let (application, socket) = client.application()
        #expect(upstream.takes(application))
        trunk.client.lost(.link(.hostGone))
        #expect(upstream.carriers.trunk == nil && role.ends == 2)
        #expect(client.bench.events.all.contains { $0.contains("does not answer") })
        withExtendedLifetime(socket) {}
    }

    @Test("A server that takes carriers back at once is not asked again at once; one that kept them for long is")
    func useless() throws {
        for isUseful in [false, true] {
            let far = try opened()
            if isUseful { client.bench.clock.advance(by: .nanoseconds(Backoff.useful)) }
            client.bench.turn()
            let socket = wait(shares: false)
            far.client.end(.lost(.link(.hostGone)))
            #expect(upstream.dials.underWay.isEmpty == !isUseful)
            upstream.dials.endPause()
            while let application = role.waiting.next() { application.endpoint.reset() }
            withExtendedLifetime(socket) {}
        }
        upstream.stop()
    }

    @Test(
        "A link that breaks before the server has said a word of a stream leaves it in doubt, and its application held")
    func loses() throws {
        let far = try opened()
        let (application, socket) = client.application()
        #expect(upstream.takes(application))
        client.bench.settle()
        far.client.lost(.link(.hostGone))
        #expect(upstream.doubts.openings.heldCount == 1 && upstream.openStreams == 1)
        #expect(upstream.demand.waitedFor == 1, "somebody has to be asked")
        upstream.stop()
        upstream.cut()
        #expect(upstream.openStreams == 0)
        withExtendedLifetime(socket) {}
    }

    @Test("A stream whose OPEN has not left is served on another carrier without a question")
    func unsent() throws {
        let fars = [try opened(), try opened()]
        let (application, socket) = client.application()
        #expect(upstream.takes(application))
        let trunk = try #require(upstream.carriers.trunk)
        trunk.lost(.link(.hostGone))
        #expect(upstream.openStreams == 1)
        client.bench.settle()
        #expect(upstream.doubts.openings.heldCount == 1 || upstream.carriers.trunk?.sharedStreams == 1)
        withExtendedLifetime((fars, socket)) {}
    }

    // MARK: The conversation

    @Test("A server that says that the conversation is over tells all loops once, and its streams begin anew")
    func conversationOver() throws {
        let far = try opened()
        let before = try #require(client.shared.conversation)
        let (application, socket) = client.application()
        let first = FirstBytes(
            OpenMessage(streamNumber: 1, source: .none, service: ClientBench.sharing), now: client.bench.shard.now)
        upstream.carrier(far.client, givesBack: application.endpoint, first, .conversationOver)
        #expect(client.shared.conversation == nil && far.client.phase == .closed)
        #expect(role.waiting.count == 1 && role.news.count == 1)
        if case .conversationEnded(let id) = role.news.first { #expect(id == before) } else { Issue.record("no news") }
        // It is over for everybody by now.
        let (another, other) = client.application()
        upstream.carrier(far.client, givesBack: another.endpoint, first, .conversationOver)
        #expect(role.news.count == 1 && role.waiting.count == 2)
        withExtendedLifetime((socket, other)) {}
    }

    @Test("A stream that is refused again and again is given up")
    func hopeless() throws {
        let far = try opened()
        let first = FirstBytes(
            OpenMessage(streamNumber: 1, source: .none, service: ClientBench.sharing), now: client.bench.shard.now)
        for _ in 0...Upstream.patience { first.didNotBegin(.conversationOver) }
        let (application, socket) = client.application()
        upstream.carrier(far.client, givesBack: application.endpoint, first, .withdrawn)
        #expect(role.turnedAway == ["the server takes no stream"] && role.waiting.isEmpty)
        withExtendedLifetime(socket) {}
    }

    @Test("A new conversation ends the carriers of the one before, and opens others")
    func stands() throws {
        let (client, upstream) = try Self.make(role, PoolSettings(floor: 2, cap: 4))
        let far = try opened(client, upstream)
        upstream.dials.stop()
        try client.establish()
        upstream.hear(.conversationStands)
        #expect(far.client.phase == .closed)
    }

    @Test("A carrier that was dialled in a conversation that another has replaced meanwhile serves nobody")
    func dialledTooLate() throws {
        let (client, upstream) = try Self.make(role, PoolSettings(floor: 0, cap: 4))
        let (socket, _) = try client.link { link in
            try client.establish()
            upstream.hear(.conversationStands)
            upstream.isOpened(link)
        }
        #expect(upstream.carriers.isEmpty && upstream.carriers.pool.count == 0)
        #expect(TestSocket(socket).readAll().then == .ended)
    }

    @Test("A conversation that ends takes its own carriers and no others")
    func ends() throws {
        let old = try opened()
        let before = try #require(client.shared.conversation)
        try client.establish()
        let fresh = try opened()
        upstream.hear(.conversationEnded(before))
        #expect(old.client.phase == .closed && pool == [fresh.client.ticket])
        upstream.hear(.conversationExpired)
        #expect(fresh.client.phase == .closed)
    }

    @Test("Without a conversation an application in a hurry wants one urgently, a dial only if somebody waits")
    func pairing() throws {
        client.shared.forget()
        upstream.hurry()
        #expect(role.pairings == [true])
        upstream.lacksConversation()
        #expect(role.pairings.count == 1)
        let socket = wait(shares: true)
        upstream.lacksConversation()
        #expect(role.pairings == [true, true])
        upstream.conversationIsRejected()
        #expect(role.pairings == [true, true, true])
        withExtendedLifetime(socket) {}
    }

    // MARK: The end

    @Test("Cut: what has a stream is broken off, what is ready stays for logging off")
    func cut() throws {
        let fars = [try opened(), try opened(), try opened()]
        let (own, ownSocket) = client.application(shares: false)
        let (shared, sharedSocket) = client.application()
        #expect(upstream.takes(own) && upstream.takes(shared))
        upstream.cut()
        client.bench.settle()
        #expect(fars.count { $0.client.phase == .departing || $0.client.phase == .leaving } == 2)
        #expect(upstream.carriers.pool.count == 1)
        withExtendedLifetime((ownSocket, sharedSocket)) {}
    }

    @Test("Logging off says BYE on every idle carrier and on the shared one, and forgets the conversation")
    func logOff() throws {
        let fars = [try opened(), try opened()]
        for far in fars { far.wake() }
        let (application, socket) = client.application()
        #expect(upstream.takes(application))
        client.bench.settle()
        socket.close()
        for far in fars { for target in far.targets { target.close() } }
        #expect(client.bench.turn { upstream.openStreams == 0 })
        upstream.logOff()
        #expect(client.bench.turn { upstream.carriers.isEmpty })
        #expect(fars.allSatisfy { $0.owner.calls.contains(.bye) })
        #expect(client.shared.conversation == nil && pool.isEmpty)
    }

    // MARK: Heavy streams

    /// A stream on the shared carrier that the server knows.
    private func heavyStream() throws -> (SharedStream, ClientBench.Far, TestSocket) {
        let far = try opened()
        far.wake()
        let (application, socket) = client.application()
        socket.write([1])
        #expect(upstream.takes(application))
        client.bench.settle()
        far.targets.first?.write([2])
        client.bench.settle()
        return (try #require(far.client.sharing?.streams.values.first), far, socket)
    }

    @Test("A heavy stream moves to a carrier that is ready and was heard lately")
    func moves() throws {
        let (stream, far, socket) = try heavyStream()
        let other = try opened()
        upstream.streamIsHeavy(stream)
        #expect(other.client.phase == .moving && other.client.moving === stream && upstream.demand.waitedFor == 0)
        upstream.streamIsHeavy(stream)
        #expect(!stream.isQueued)
        withExtendedLifetime((far, socket)) {}
    }

    @Test("A carrier that was quiet is asked first, and the stream waits for the next")
    func asksFirst() throws {
        let (stream, far, socket) = try heavyStream()
        let quiet = try opened()
        quiet.client.link.lastHeard = client.bench.shard.now &- Silence.quiet
        upstream.streamIsHeavy(stream)
        #expect(stream.isQueued && quiet.client.trust.isSuspect && upstream.demand.waitedFor == 1)
        let next = try opened()
        #expect(next.client.moving === stream && !stream.isQueued && upstream.demand.waitedFor == 0)
        withExtendedLifetime((far, socket)) {}
    }

    @Test("Where no carrier is ready a heavy stream waits once, and an application goes first")
    func waits() throws {
        let (stream, far, socket) = try heavyStream()
        for _ in 0..<3 { upstream.streamIsHeavy(stream) }
        #expect(upstream.demand.waitedFor == 1)
        let application = wait(shares: false)
        let next = try opened()
        #expect(next.client.phase == .streaming && stream.isQueued)
        let second = try opened()
        #expect(second.client.moving === stream)
        upstream.stop()
        withExtendedLifetime((far, socket, application)) {}
    }

    @Test("Once the loop has nothing left no stream moves any more")
    func tooLate() throws {
        let (stream, far, socket) = try heavyStream()
        role.ending = .left
        upstream.streamIsHeavy(stream)
        #expect(!stream.isQueued && upstream.demand.waitedFor == 0)
        withExtendedLifetime((far, socket)) {}
    }

    // MARK: What is wanted

    @Test("Ahead of need as many are opened as the pool lacks, but none while the loop drains")
    func demand() throws {
        let (client, upstream) = try Self.make(role, PoolSettings(floor: 3, cap: 4))
        #expect(upstream.demand == CarrierDemand(waitedFor: 0, ahead: 3))
        let far = try opened(client, upstream)
        #expect(upstream.demand == CarrierDemand(waitedFor: 0, ahead: 2))
        role.ending.drain()
        #expect(upstream.demand == CarrierDemand(waitedFor: 0, ahead: 0))
        upstream.stop()
        withExtendedLifetime(far) {}
    }
}
