// What a client's loop finds out about carriers that are not heard, and what becomes of streams there. Its links are unix
// sockets, of which the kernel says nothing: what is judged here is what was heard.
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct DoubtsTests {
    /// Writes down what there is to do.
    private final class Owner: DoubtsOwner {
        var served: [Application] = []
        var givenUp: [StreamFault] = []
        var refills = 0
        var idle: [Ticket] = []
        var settlings = 0

        func serve(_ application: Application) { served.append(application) }
        func giveUp(_ application: Application, _ why: StreamFault) {
            application.endpoint.reset()
            givenUp.append(why)
        }
        func refill() { refills += 1 }
        func carrierIsHeard(_ carrier: Carrier) {}
        func carrierIsIdle(_ carrier: Carrier) { idle.append(carrier.ticket) }
        func doubtsAreSettled() { settlings += 1 }
    }

    private let client: ClientBench
    private let owner = Owner()
    private let role = RecordingOwner()
    private let carriers = UpstreamCarriers(CarrierPool(floor: 0, cap: 10))
    private let doubts: Doubts
    private var shard: Shard { client.bench.shard }

    init() throws {
        client = try ClientBench(waiting: .init(most: 10, atMost: .seconds(7)))
        doubts = Doubts(carriers, client.shared, on: client.bench.shard, for: owner)
    }

    private func idle() throws -> ClientBench.Far {
        let far = try client.far(owner: role)
        carriers.adopt(far.client)
        let isKept = carriers.pool.put(far.client)
        #expect(isKept)
        far.client.advance()
        return far
    }

    private func shared() throws -> ClientBench.Far {
        let far = try client.far(owner: role)
        carriers.adopt(far.client)
        carriers.share(far.client)
        far.client.flushSoon()
        return far
    }

    /// Opens the stream `number` on `carrier`.
    private func open(_ number: UInt64, on carrier: Carrier) -> TestSocket {
        let (application, socket) = client.application()
        socket.write([UInt8(number)])
        let message = OpenMessage(streamNumber: number, source: .none, service: ClientBench.sharing)
        doubts.expectWord(of: carrier)
        if carrier.phase == .shared {
            carrier.openShared(message, for: application.endpoint)
        } else {
            carriers.pool.remove(carrier)
            carrier.open(message, for: application.endpoint)
        }
        return socket
    }

    private func pass(_ duration: Duration) { client.pass(duration) }

    // MARK: Who is asked

    @Test("A carrier that was heard a moment ago is not asked when a stream opens; one that was quiet is")
    func asked() throws {
        let (lately, quiet) = (try shared(), try idle())
        lately.client.link.lastHeard = shard.now
        quiet.client.link.lastHeard = shard.now &- Silence.quiet
        doubts.expectWord(of: lately.client)
        doubts.expectWord(of: quiet.client)
        #expect(!lately.client.trust.isAsked && !lately.client.due.contains(.ping))
        #expect(quiet.client.trust.isAsked && quiet.client.due.contains(.ping))
        #expect(lately.client.trust.isWatched && quiet.client.trust.isWatched)
    }

    @Test("An answer ends the watch, and nothing is emitted, refilled or set aside")
    func answered() throws {
        let far = try shared()
        far.wake()
        let socket = open(1, on: far.client)
        pass(.seconds(2))
        far.targets.first?.write([5])
        pass(.seconds(2))
        #expect(!far.client.trust.isWatched && !far.client.trust.isSuspect && carriers.trunk === far.client)
        #expect(owner.refills == 0 && client.bench.events.all.isEmpty && doubts.openings.isEmpty)
        withExtendedLifetime(socket) {}
    }

    @Test("A shared carrier of which nothing is heard is asked first, and suspect only if it does not answer")
    func silent() throws {
        let far = try shared()
        let socket = open(1, on: far.client)
        client.pass(.milliseconds(550))
        #expect(!far.client.trust.isAsked, "it is early")
        client.pass(.milliseconds(100))
        #expect(far.client.trust.isAsked && !far.client.trust.isSuspect)
        client.pass(.milliseconds(900))
        #expect(far.client.trust == .suspect(.none))
        #expect(carriers.trunk == nil && carriers.formerTrunks.first === far.client, "new streams go elsewhere")
        #expect(client.bench.events.all.count == 1)
        #expect(owner.refills > 0, "somebody has to be asked")
        #expect(doubts.openings.unasked == [1])
        withExtendedLifetime(socket) {}
    }

    @Test("A carrier of one stream whose service rests is not suspect: it was heard when the stream began")
    func restingService() throws {
        let far = try idle()
        far.client.link.lastHeard = shard.now
        let socket = open(1, on: far.client)
        pass(.seconds(3))
        #expect(far.client.trust == .trusted(.none) && doubts.openings.isEmpty)
        withExtendedLifetime(socket) {}
    }

    @Test("With the one that is silent all are suspect that were quiet for as long, and none that was heard since")
    func others() throws {
        let (silent, quiet, lively) = (try shared(), try idle(), try idle())
        let socket = open(1, on: silent.client)
        for _ in 0..<200 where !silent.client.trust.isSuspect {
            client.bench.pass(.milliseconds(10))
            lively.client.link.lastHeard = shard.now
        }
        #expect(silent.client.trust.isSuspect && quiet.client.trust.isSuspect && !lively.client.trust.isSuspect)
        #expect(carriers.pool.all.map(\.ticket) == [lively.client.ticket])
        withExtendedLifetime(socket) {}
    }

    @Test("A suspect carrier without a stream that does not answer is closed, and one with a stream is kept")
    func closed() throws {
        let (without, with) = (try idle(), try idle())
        let socket = open(1, on: with.client)
        for far in [without, with] { doubts.suspect(far.client) }
        pass(.seconds(2))
        #expect(without.client.phase == .closed && role.lostBecause?.contains("no answer when asked") == true)
        #expect(with.client.phase == .streaming && with.client.trust.isSuspect)
        withExtendedLifetime(socket) {}
    }

    @Test("A suspect that answers is trusted again, and its streams are not asked about any more")
    func isHeard() throws {
        let far = try shared()
        let socket = open(1, on: far.client)
        pass(.seconds(2))
        try #require(far.client.trust.isSuspect && doubts.openings.unasked == [1])
        // Its owner would call this when something comes.
        #expect(doubts.isHeard(far.client))
        #expect(!far.client.trust.isSuspect && doubts.openings.isEmpty)
        withExtendedLifetime(socket) {}
    }

    @Test("Whoever is suspect is not suspected twice, and is asked once")
    func suspectOnce() throws {
        let far = try idle()
        doubts.suspect(far.client)
        let before = far.client.trust
        client.bench.clock.advance(by: .milliseconds(1))
        doubts.suspect(far.client)
        #expect(far.client.trust == before && carriers.pool.count == 0)
    }

    @Test("After a sleep of the machine every carrier is suspect; a nap changes nothing", arguments: [0.9, 1.1])
    func sleep(_ seconds: Double) throws {
        let (first, second) = (try shared(), try idle())
        doubts.noticeSleep()
        client.night.slept += Nanoseconds(seconds * 1_000_000_000)
        doubts.noticeSleep()
        let isLong = seconds > 1
        #expect(first.client.trust.isSuspect == isLong && second.client.trust.isSuspect == isLong)
        #expect(carriers.pool.count == (isLong ? 0 : 1))
        doubts.noticeSleep()
        #expect(first.client.trust.isSuspect == isLong)
    }

    @Test("What happened while nobody looked is read before anybody is judged")
    func lateLoop() throws {
        let far = try shared()
        let socket = open(1, on: far.client)
        client.bench.pass(.seconds(20))
        #expect(!far.client.trust.isSuspect, "the loop itself was away")
        far.wake()
        pass(.seconds(3))
        #expect(!far.client.trust.isSuspect && client.bench.events.all.isEmpty)
        withExtendedLifetime(socket) {}
    }

    // MARK: Streams in doubt

    /// A carrier whose stream 1 is in doubt, and another, which is asked about it.
    private func inDoubt() throws -> (silent: ClientBench.Far, asked: ClientBench.Far, TestSocket) {
        let silent = try shared()
        let socket = open(1, on: silent.client)
        pass(.seconds(2))
        try #require(doubts.openings.unasked == [1])
        let asked = try idle()
        doubts.askAbout(asked.client)
        try #require(asked.client.withdrawing?.asked == [1] && doubts.openings.unasked.isEmpty)
        return (silent, asked, socket)
    }

    @Test("A stream that has not begun is taken back from its carrier, once")
    func notBegun() throws {
        let (silent, asked, socket) = try inDoubt()
        doubts.isAnswered(on: asked.client, about: [1], begun: [])
        #expect(role.calls.contains(.givenBack(1)), "with the byte that was sent")
        #expect(silent.client.sharedStreams == 0 && doubts.openings.isEmpty && owner.settlings > 0)
        withExtendedLifetime(socket) {}
    }

    @Test("A stream that has begun stays where it is, and is not asked about again")
    func begun() throws {
        let (silent, asked, socket) = try inDoubt()
        doubts.isAnswered(on: asked.client, about: [1], begun: [1])
        #expect(silent.client.sharedStreams == 1 && doubts.openings.isEmpty)
        #expect(!role.calls.contains(.givenBack(1)))
        withExtendedLifetime(socket) {}
    }

    @Test("The question goes over the wire, and its answer comes back to whom it concerns")
    func question() throws {
        let (_, asked, socket) = try inDoubt()
        asked.owner.begun = [1]
        asked.wake()
        client.bench.settle()
        #expect(asked.owner.calls.contains(.withdraws([1])))
        #expect(role.calls.contains(.withdrew([1], butNot: [1])))
        withExtendedLifetime(socket) {}
    }

    @Test("One that asks and ends is not waited for: the next is asked")
    func askerEnds() throws {
        let (_, asked, socket) = try inDoubt()
        _ = carriers.takeOut(asked.client)
        doubts.hasEnded(asked.client)
        #expect(doubts.openings.unasked == [1])
        let next = try idle()
        next.client.link.lastHeard = shard.now
        doubts.seekAnswers()
        #expect(next.client.withdrawing?.asked == [1])
        withExtendedLifetime(socket) {}
    }

    @Test("Only a carrier that was heard lately is asked; without one a further carrier is wanted")
    func whoIsAsked() throws {
        let quiet = try idle()
        quiet.client.link.lastHeard = shard.now &- Silence.quiet
        let (application, socket) = client.application()
        doubts.hold(1, application, of: quiet.client.peer.conversation)
        let before = owner.refills
        doubts.seekAnswers()
        #expect(quiet.client.withdrawing == nil && doubts.openings.unasked == [1] && owner.refills == before + 1)
        withExtendedLifetime(socket) {}
    }

    // MARK: Applications that are held

    private func hold(_ number: UInt64 = 1) throws -> TestSocket {
        let (application, socket) = client.application()
        doubts.hold(number, application, of: try #require(client.shared.conversation))
        doubts.seekAnswers()
        return socket
    }

    @Test("An application whose carrier ended is served anew if its stream has not begun, and reset if it has")
    func held() throws {
        let asked = try idle()
        let sockets = [try hold(1), try hold(2)]
        doubts.isAnswered(on: asked.client, about: [1, 2], begun: [2])
        #expect(owner.served.count == 1)
        #expect(owner.givenUp == [.linkBrokeAfterBeginning])
        #expect(doubts.openings.isEmpty && doubts.openings.heldCount == 0)
        owner.served.first?.endpoint.reset()
        withExtendedLifetime(sockets) {}
    }

    @Test("It is held for as long as others wait for a carrier, and no longer")
    func heldForSoLong() throws {
        let socket = try hold()
        pass(.milliseconds(6900))
        #expect(owner.givenUp.isEmpty && doubts.openings.heldCount == 1)
        pass(.milliseconds(200))
        #expect(owner.givenUp == [.noAnswer] && doubts.openings.isEmpty)
        #expect(owner.settlings > 0)
        withExtendedLifetime(socket) {}
    }

    @Test("With the conversation the answer is lost: whoever is held is reset")
    func conversationEnds() throws {
        let socket = try hold()
        doubts.forgetUnanswerable()
        #expect(owner.givenUp.isEmpty, "the conversation still stands")
        try client.establish()
        doubts.forgetUnanswerable()
        #expect(owner.givenUp == [.conversationOver] && doubts.openings.isEmpty)
        withExtendedLifetime(socket) {}
    }

    @Test("What is in doubt in one conversation is not mixed with what is in another")
    func twoConversations() throws {
        let socket = try hold(1)
        try client.establish()
        let (application, other) = client.application()
        doubts.hold(2, application, of: try #require(client.shared.conversation))
        #expect(owner.givenUp.count == 1 && Set(doubts.openings.all.keys) == [2])
        withExtendedLifetime((socket, other)) {}
    }

    @Test("At the end everybody who is held is reset, with the reason that is given")
    func giveUpAll() throws {
        let sockets = [try hold(1), try hold(2)]
        doubts.giveUpAll(.drainTimeout)
        #expect(owner.givenUp == [.drainTimeout, .drainTimeout] && doubts.openings.isEmpty)
        let before = owner.settlings
        doubts.giveUpAll(.noAnswer)
        #expect(owner.givenUp.count == 2 && owner.settlings == before, "there is nobody left")
        withExtendedLifetime(sockets) {}
    }
}
