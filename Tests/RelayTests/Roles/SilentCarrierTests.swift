// Carriers whose connection the way to the server has forgotten, or that break before the server has said a word. No
// application may be lost that can be served, and nothing may reach a service twice.
import CHarness
import Glibc
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct SilentCarrierTests {
    /// Which end of the carriers receives nothing any more.
    enum Deaf: CaseIterable, CustomTestStringConvertible {
        case client, server, both
        var testDescription: String { "\(self)" }
    }

    /// A device whose carriers have been quiet for `quiet`, and have become deaf since.
    private final class Scene {
        let bench: RolesBench
        let client: ClientRole
        var arrivals: [TestSocket] = []
        private var deafened: [Int32] = []

        init(_ choice: CarrierChoice, quiet: Duration = .seconds(2), _ deaf: Deaf?) throws {
            bench = try RolesBench(carrier: choice)
            client = bench.clients[0].roles[0]
            let before = try bench.open()
            before.application.write([1])
            try #require(bench.turn { before.target.readAll().bytes == [1] })
            before.application.close()
            before.target.close()
            let counters = bench.clients[0].shards[0]
            try #require(bench.turn { counters.counters.streamsOpen == 0 && bench.server.counters.streamsOpen == 0 })
            for _ in 0..<20 { bench.turn() }
            // In small steps: heartbeats are answered, and the last one is a while ago.
            let step = Duration.milliseconds(50)
            for _ in 0..<Int(quiet / step) {
                bench.clock.advance(by: step)
                bench.turn()
            }
            if let deaf { makeDeaf(deaf) }
        }

        func makeDeaf(_ deaf: Deaf) {
            var links: [Int32] = []
            if deaf != .server { links += client.register.all.map { $0.link.endpoint.fd } }
            if deaf != .client {
                links += bench.server.roles.flatMap { role in role.register.all.map { $0.link.endpoint.fd } }
            }
            for link in links { #expect(ch_deafen(link) == 0) }
            deafened = links
        }

        func hearAgain() { for link in deafened { _ = ch_undeafen(link) } }

        /// Turns until `isDone`, for at most `limit` of the bench's time.
        func turn(within limit: Duration = .seconds(8), until isDone: () -> Bool) -> Bool {
            let end = bench.clock.now + limit.nanoseconds
            while bench.clock.now < end {
                bench.turn()
                while let arrival = bench.arrival() { arrivals.append(arrival) }
                if isDone() { return true }
                bench.clock.advance(by: .milliseconds(2))
            }
            return false
        }

        var broken: Int { Int(bench.clients[0].counters.brokenStreams) }
    }

    private func bytes(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(count) + 7)
        return generator.bytes(count)
    }

    @Test(
        "A connection that comes when every carrier is dead is served on a fresh one, whole and once",
        arguments: [CarrierChoice.shared, .own], [Deaf.both, .server])
    func served(_ choice: CarrierChoice, _ deaf: Deaf) throws {
        for count in [0, 1, 100, 60_000] {
            let scene = try Scene(choice, deaf)
            let sent = bytes(count)
            let application = try scene.bench.ask(sending: sent)
            #expect(scene.turn(within: .seconds(2)) { scene.arrivals.count == 1 }, "\(count)")
            let target = try #require(scene.arrivals.first)
            var came: [UInt8] = []
            #expect(
                scene.turn {
                    came += target.readAll().bytes
                    return came.count >= count
                })
            #expect(came == sent)
            target.write([7])
            #expect(scene.turn { application.read() == .bytes([7]) })
            #expect(scene.broken == 0)
            // What was on its way to the dead carriers arrives after all.
            scene.hearAgain()
            let until = monotonicNow() + 700_000_000
            _ = scene.bench.turn { monotonicNow() > until }
            #expect(scene.bench.arrival() == nil, "the stream came twice")
            #expect(scene.bench.contradictions() == [])
        }
    }

    @Test(
        "A connection whose OPEN arrived, while the answer did not, stays where it is and is not opened again",
        arguments: [CarrierChoice.shared, .own])
    func begun(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, .client)
        let application = try scene.bench.ask(sending: [1, 2, 3])
        try #require(scene.turn { scene.arrivals.count == 1 })
        let target = try #require(scene.arrivals.first)
        target.write([9])
        // Long enough to ask on a fresh carrier, and to be told.
        #expect(scene.turn { scene.client.doubts.openings.isEmpty && scene.client.carriers.count > 1 })
        #expect(!scene.turn(within: .seconds(3)) { scene.arrivals.count > 1 })
        #expect(application.read() == .nothingYet)
        scene.hearAgain()
        #expect(scene.bench.turn { application.read() == .bytes([9]) })
        #expect(target.readAll().bytes == [1, 2, 3])
        #expect(scene.broken == 0 && scene.bench.arrival() == nil)
        #expect(scene.bench.contradictions() == [])
    }

    @Test("Many connections on dead carriers are all served, each once", arguments: [CarrierChoice.shared, .own])
    func many(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, .both)
        let applications = try (0..<150).map { try scene.bench.ask(sending: [UInt8($0)]) }
        #expect(scene.turn { scene.arrivals.count >= applications.count })
        var seen: [UInt8] = []
        #expect(
            scene.turn {
                for target in scene.arrivals { seen += target.readAll().bytes }
                return seen.count >= applications.count
            })
        #expect(seen.sorted() == (0..<150).map { UInt8($0) })
        for target in scene.arrivals { target.write([5]) }
        for application in applications { #expect(scene.turn { application.read() == .bytes([5]) }) }
        #expect(scene.broken == 0)
        #expect(scene.bench.contradictions() == [])
    }

    @Test(
        "After the first no connection waits: new ones go to the fresh carrier",
        arguments: [CarrierChoice.shared, .own])
    func next(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, .both)
        let first = try scene.bench.ask()
        try #require(scene.turn { scene.arrivals.count == 1 })
        let second = try scene.bench.ask()
        #expect(scene.turn(within: .milliseconds(300)) { scene.arrivals.count == 2 })
        withExtendedLifetime((first, second)) {}
    }

    @Test("A carrier that is heard again before anybody asked goes on as if nothing had been")
    func pause() throws {
        let scene = try Scene(.shared, .both)
        let trunk = try #require(scene.client.trunk)
        let application = try scene.bench.ask(sending: [4])
        for _ in 0..<5 { scene.bench.turn() }
        scene.hearAgain()
        // The kernel repeats what was lost, in its own time.
        try #require(
            scene.bench.turn {
                while let arrival = scene.bench.arrival() { scene.arrivals.append(arrival) }
                return scene.arrivals.count == 1
            })
        #expect(scene.client.trunk === trunk && !trunk.trust.isSuspect)
        scene.arrivals[0].write([6])
        #expect(scene.bench.turn { application.read() == .bytes([6]) })
    }

    @Test("A server that stands still for seconds costs nobody a connection", arguments: [CarrierChoice.shared, .own])
    func frozen(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, nil)
        let applications = try (0..<10).map { try scene.bench.ask(sending: [UInt8($0)]) }
        for _ in 0..<2000 {
            scene.bench.clock.advance(by: .milliseconds(2))
            scene.bench.turnClients()
        }
        #expect(scene.turn { scene.arrivals.count == applications.count })
        for target in scene.arrivals { target.write([1]) }
        for application in applications { #expect(scene.turn { application.read() == .bytes([1]) }) }
        for _ in 0..<100 { scene.bench.turn() }
        #expect(scene.broken == 0 && scene.bench.arrival() == nil)
        #expect(scene.bench.contradictions() == [])
    }

    @Test(
        "After the machine has slept new connections do not trust old carriers",
        arguments: [CarrierChoice.shared, .own])
    func slept(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, .both)
        scene.bench.night.slept += 60_000_000_000
        let application = try scene.bench.ask(sending: [3])
        try #require(scene.turn(within: .milliseconds(300)) { scene.arrivals.count == 1 })
        #expect(scene.turn { scene.arrivals[0].readAll().bytes == [3] })
        withExtendedLifetime(application) {}
    }

    @Test("After the machine has slept carriers that still answer are used again")
    func sleptWell() throws {
        let scene = try Scene(.shared, nil)
        let trunk = try #require(scene.client.trunk)
        scene.bench.night.slept += 60_000_000_000
        let application = try scene.bench.ask(sending: [3])
        #expect(scene.turn(within: .milliseconds(300)) { scene.arrivals.count == 1 })
        for _ in 0..<50 { scene.bench.turn() }
        #expect(!trunk.trust.isSuspect && scene.bench.contradictions() == [])
        withExtendedLifetime(application) {}
    }

    @Test(
        "A suspect carrier that answers while TCP repeats something else is trusted when that has arrived",
        arguments: [true, false])
    func heardWhileRepeating(_ isWatched: Bool) throws {
        let scene = try Scene(.own, nil)
        let carrier = try #require(scene.client.pool.all.first)
        scene.client.suspect(carrier)
        if !isWatched {
            scene.client.doubts.expectations = Expectations()
            carrier.trust.endWatch()
        }
        // PING has arrived, and what follows it does not at first.
        scene.makeDeaf(.server)
        carrier.due.insert(.pong)
        carrier.advance()
        let deadline = monotonicNow() + 20_000_000_000
        while !Silence.isRepeating(carrier) { try #require(monotonicNow() < deadline) }
        let before = carrier.lastHeard
        try #require(scene.bench.turn { carrier.lastHeard > before })
        #expect(carrier.trust.isSuspect && !scene.client.pool.has(carrier))
        scene.hearAgain()
        while Silence.isRepeating(carrier) { try #require(monotonicNow() < deadline) }
        #expect(scene.turn(within: .seconds(1)) { !carrier.trust.isSuspect && scene.client.pool.has(carrier) })
        #expect(scene.bench.contradictions() == [])
    }

    @Test(
        "A connection whose carrier breaks before the server has read its OPEN is served on another",
        arguments: [CarrierChoice.shared, .own])
    func broken(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, quiet: .zero, nil)
        let application = try scene.bench.ask(sending: [8, 8])
        for _ in 0..<5 { scene.bench.turnClients() }
        for role in scene.bench.server.roles {
            for carrier in role.register.all { carrier.end(.lost(.link(.hostGone))) }
        }
        try #require(scene.turn { scene.arrivals.count == 1 })
        #expect(scene.turn { scene.arrivals[0].readAll().bytes == [8, 8] })
        scene.arrivals[0].write([7])
        #expect(scene.turn { application.read() == .bytes([7]) })
        #expect(scene.broken == 0 && scene.bench.arrival() == nil)
    }

    @Test(
        "A connection whose carrier breaks behind an OPEN that was served is reset: its bytes may have had their effect",
        arguments: [CarrierChoice.shared, .own])
    func brokenLater(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, quiet: .zero, nil)
        let application = try scene.bench.ask(sending: [8])
        try #require(scene.turn { scene.arrivals.count == 1 })
        for role in scene.bench.server.roles {
            for carrier in role.register.all { carrier.end(.lost(.link(.hostGone))) }
        }
        #expect(scene.turn { application.read() == .broken(ECONNRESET) })
        for _ in 0..<200 { scene.bench.turn() }
        #expect(scene.bench.arrival() == nil, "the stream came twice")
        #expect(scene.broken == 1 && scene.client.doubts.openings.isEmpty)
    }

    @Test("A connection whose server is gone for good is held as long as others wait, and reset then")
    func held() throws {
        let scene = try Scene(.shared, quiet: .zero, nil)
        let application = try scene.bench.ask(sending: [8])
        for _ in 0..<5 { scene.bench.turnClients() }
        for role in scene.bench.server.roles {
            for carrier in role.register.all { carrier.end(.lost(.link(.hostGone))) }
        }
        for _ in 0..<100 { scene.bench.turnClients() }
        #expect(application.read() == .nothingYet)
        #expect(scene.client.doubts.heldCount == 1)
        for _ in 0..<6000 where scene.client.doubts.heldCount > 0 {
            scene.bench.clock.advance(by: .milliseconds(2))
            scene.bench.turnClients()
        }
        #expect(application.read() == .broken(ECONNRESET))
        #expect(scene.client.doubts.openings.isEmpty && scene.client.doubts.unasked.isEmpty)
    }

    @Test("Idle carriers that do not answer when asked are closed, not kept for the next connection")
    func idle() throws {
        let scene = try Scene(.own, .both)
        let dead = Set(scene.client.register.all.map(\.ticket))
        let application = try scene.bench.ask()
        #expect(scene.turn { scene.client.register.all.allSatisfy { !dead.contains($0.ticket) || $0.hasStream } })
        try #require(scene.turn { scene.arrivals.count == 1 })
        #expect(scene.turn { scene.client.register.all.allSatisfy { !dead.contains($0.ticket) } })
        withExtendedLifetime(application) {}
    }

    @Test("A suspect carrier whose stream ends with the first thing that is heard is ready for one stream, not for two")
    func endsWhenHeard() throws {
        let scene = try Scene(.own, nil)
        let application = try scene.bench.ask(sending: [1])
        application.shutdownWrite()
        try #require(scene.turn { scene.arrivals.count == 1 })
        #expect(scene.turn { scene.arrivals[0].readAll().then == .ended })
        for _ in 0..<20 { scene.bench.turn() }
        let withStream = scene.client.carriers.values.first { $0.hasStream }
        let carrier = try #require(withStream)
        scene.client.suspect(carrier)
        scene.bench.turnClients()
        // PONG, DATA, FIN and CLOSED are read in one go.
        scene.arrivals[0].write([2])
        scene.arrivals[0].close()
        for _ in 0..<10 { for shard in scene.bench.server.shards { shard.turn(mayWait: false) } }
        #expect(scene.turn { application.readAll().then == .ended })
        for _ in 0..<20 { scene.bench.turn() }
        #expect(!carrier.trust.isSuspect && scene.bench.contradictions() == [])
        let idle = scene.client.register.idle.filter { $0 === carrier }.count
        #expect(idle == 1)
        let more = try (0..<3).map { try scene.bench.ask(sending: [$0]) }
        try #require(scene.turn { scene.arrivals.count == 4 })
        #expect(scene.bench.contradictions() == [])
        withExtendedLifetime(more) {}
    }

    @Test("A way that breaks behind one OPEN and its answer is noticed at the next, however soon that comes")
    func breaksBetween() throws {
        let scene = try Scene(.shared, nil)
        let first = try scene.bench.ask(sending: [1])
        try #require(scene.turn { scene.arrivals.count == 1 })
        scene.arrivals[0].write([1])
        #expect(scene.turn { first.read() == .bytes([1]) })
        scene.makeDeaf(.both)
        let second = try scene.bench.ask(sending: [2])
        try #require(scene.turn(within: .seconds(4)) { scene.arrivals.count == 2 })
        #expect(scene.turn { scene.arrivals[1].readAll().bytes == [2] })
        withExtendedLifetime(second) {}
    }

    @Test("What was asked on a carrier that falls silent too is asked on a third")
    func askerSilent() throws {
        let scene = try Scene(.shared, .both)
        let first = try scene.bench.ask(sending: [1])
        // As soon as somebody asks, that one is deaf as well.
        #expect(scene.turn { scene.client.carriers.values.contains { $0.withdrawing != nil } })
        scene.makeDeaf(.both)
        try #require(scene.turn { scene.arrivals.count == 1 })
        #expect(scene.turn { scene.arrivals[0].readAll().bytes == [1] })
        #expect(scene.broken == 0)
        withExtendedLifetime(first) {}
    }

    @Test("A server that answers PING and no question is not waited for longer than a dead one")
    func unanswered() throws {
        let scene = try Scene(.own, nil)
        let carrier = try #require(scene.client.pool.all.first)
        scene.client.pool.remove(carrier)
        scene.client.expectWord(of: carrier)
        // As if it had been said.
        let question = Withdrawing(asking: [12345], now: scene.bench.clock.now)
        question.isDue = false
        carrier.withdrawing = question
        carrier.advance()
        #expect(!scene.turn(within: .seconds(25)) { carrier.phase == .closed })
        #expect(scene.turn(within: .seconds(10)) { carrier.phase == .closed })
    }

    @Test("A carrier that says its last words is not suspected because nothing is read there any more")
    func departing() throws {
        let scene = try Scene(.own, nil)
        let before = scene.client.register.idle.count
        let application = try scene.bench.ask(sending: [1])
        // The server does not read its last words for a while: its target is slow to answer, say.
        for _ in 0..<5 { scene.bench.turnClients() }
        application.reset()
        var suspects = 0
        for _ in 0..<900 {
            scene.bench.clock.advance(by: .milliseconds(1))
            scene.bench.turnClients()
            suspects = max(suspects, scene.client.carriers.values.filter { $0.trust.isSuspect }.count)
        }
        #expect(suspects == 0 && scene.client.register.idle.count >= before - 1)
    }

    @Test(
        "A drain ends though streams are in doubt and a question is not answered",
        arguments: [CarrierChoice.shared, .own])
    func drains(_ choice: CarrierChoice) throws {
        let scene = try Scene(choice, .both)
        let application = try scene.bench.ask(sending: [1])
        #expect(scene.turn { scene.client.carriers.values.contains { $0.withdrawing != nil } })
        scene.makeDeaf(.both)
        for shard in scene.bench.clients[0].shards { shard.drain(limit: 4_000_000_000) }
        for _ in 0..<4000 where !scene.bench.clients[0].roles.allSatisfy(\.isFinished) {
            scene.bench.clock.advance(by: .milliseconds(2))
            scene.bench.turnClients()
        }
        let areFinished = scene.bench.clients[0].roles.allSatisfy { $0.isFinished }
        #expect(areFinished)
        #expect(application.read() == .broken(ECONNRESET))
    }

    @Test("A dial that hangs is not the only hope: others follow, a few at most")
    func hangingDial() throws {
        let scene = try Scene(.shared, .both)
        let application = try scene.bench.ask(sending: [1])
        var (early, most) = (0, 0)
        // The server stands still, so that nobody answers RESUME.
        for turn in 0..<4000 {
            scene.bench.clock.advance(by: .milliseconds(2))
            scene.bench.turnClients()
            most = max(most, scene.client.dials.count)
            if turn == 900 { early = most }
        }
        #expect(early > 0 && most > early && most <= early + 4, "\(early), \(most)")
        #expect(scene.turn { scene.arrivals.count == 1 })
        for _ in 0..<200 { scene.bench.turn() }
        #expect(scene.client.dials.isEmpty && scene.bench.contradictions() == [] && scene.broken == 0)
        withExtendedLifetime(application) {}
    }
}
