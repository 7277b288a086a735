// Application connections that come while there is no carrier, and the carriers that are kept for those that will.
import Glibc
import Settings
import Synchronization
import Testing

@testable import Relay

@Suite struct ClientWaitingTests {
    private func client(_ bench: RolesBench) -> ClientRole { bench.clients[0].roles[0] }

    private func turnClients(_ bench: RolesBench, _ times: Int = 20) {
        for _ in 0..<times { bench.turnClients() }
    }

    // MARK: Waiting

    @Test(
        "Connections made before the server is up are held, and served once it is, with what they sent",
        arguments: [CarrierChoice.shared, .own])
    func held(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier, isServerUp: false)
        let applications = try (1...5 as ClosedRange<UInt8>).map { try bench.ask(sending: [$0]) }
        turnClients(bench)
        #expect(client(bench).waiting.count == 5 && applications.allSatisfy { $0.read() == .nothingYet })
        var seen: [UInt8] = []
        var targets: [TestSocket] = []
        #expect(
            bench.turn {
                while let target = bench.arrival() { targets.append(target) }
                for target in targets { seen += target.readAll().bytes }
                return seen.count == 5
            })
        #expect(seen.sorted() == [1, 2, 3, 4, 5] && client(bench).waiting.isEmpty)
        #expect(client(bench).shared.waiting.load(ordering: .relaxed) == 0)
        #expect(bench.clients[0].counters.brokenStreams == 0)
    }

    @Test("A connection that waits for longer than at-most is reset, and not before")
    func tooLong() throws {
        let bench = try RolesBench(waiting: WaitingSettings(most: 10, atMost: .seconds(2)), isServerUp: false)
        let first = try bench.ask()
        turnClients(bench)
        bench.clock.advance(by: .milliseconds(1500))
        let second = try bench.ask()
        turnClients(bench)
        #expect(first.read() == .nothingYet)
        bench.clock.advance(by: .milliseconds(600))
        turnClients(bench)
        #expect(first.read() == .broken(ECONNRESET) && second.read() == .nothingYet)
        bench.clock.advance(by: .milliseconds(1500))
        turnClients(bench)
        #expect(second.read() == .broken(ECONNRESET))
        let events = bench.clients[0].lines.filter { $0.contains("in time") }
        #expect(events.count == 2, "\(bench.clients[0].lines)")
        #expect(bench.clients[0].counters.brokenStreams == 2)
    }

    @Test("More connections than may wait are reset, the ones that wait are still served")
    func tooMany() throws {
        let bench = try RolesBench(waiting: WaitingSettings(most: 3, atMost: .seconds(100)), isServerUp: false)
        let applications = try (0..<5).map { _ in
            let application = try bench.ask(sending: [7])
            turnClients(bench)
            return application
        }
        let turnedAway = applications.filter { $0.read() == .broken(ECONNRESET) }
        #expect(turnedAway.count == 2 && client(bench).waiting.count == 3)
        var arrivals = 0
        #expect(
            bench.turn {
                while bench.arrival() != nil { arrivals += 1 }
                return arrivals == 3
            })
        for _ in 0..<50 { bench.turn() }
        #expect(bench.arrival() == nil)
        // There is room again.
        #expect(client(bench).shared.waiting.load(ordering: .relaxed) == 0)
    }

    @Test("A waiting connection that its application gives up without a word never reaches the service")
    func givenUp() throws {
        let bench = try RolesBench(isServerUp: false)
        let (stays, goes) = (try bench.ask(sending: [1]), try bench.ask())
        turnClients(bench)
        goes.reset()
        turnClients(bench)
        var seen: [UInt8] = []
        var targets: [TestSocket] = []
        #expect(
            bench.turn {
                while let target = bench.arrival() { targets.append(target) }
                for target in targets { seen += target.readAll().bytes }
                return !seen.isEmpty
            })
        for _ in 0..<50 { bench.turn() }
        #expect(seen == [1] && targets.count == 1 && bench.arrival() == nil)
        withExtendedLifetime(stays) {}
    }

    @Test("A client takes no more connections than its limit, those that wait included, and goes on when one has gone")
    func limit() throws {
        let bench = try RolesBench(clientConnections: 2, isServerUp: false)
        let applications = try (0..<4).map { try bench.ask(sending: [UInt8($0)]) }
        turnClients(bench)
        #expect(client(bench).waiting.count == 2 && !client(bench).mayAccept)
        var targets: [TestSocket] = []
        #expect(
            bench.turn {
                while let target = bench.arrival() { targets.append(target) }
                return targets.count == 2
            })
        for _ in 0..<50 { bench.turn() }
        #expect(bench.arrival() == nil && bench.clients[0].lines.contains { $0.contains("limit") })
        applications[0].close()
        targets[0].close()
        applications[1].close()
        targets[1].close()
        bench.clock.advance(by: .milliseconds(100))
        #expect(
            bench.turn {
                bench.clock.advance(by: .milliseconds(1))
                while let target = bench.arrival() { targets.append(target) }
                return targets.count == 4
            })
    }

    // MARK: The pool

    @Test("So many carriers are ready as the pool's floor says, before anybody comes and after they were used")
    func floor() throws {
        let bench = try RolesBench(carrier: .own, pool: PoolSettings(floor: 3, cap: 5))
        #expect(bench.turn { client(bench).idleCarriers == 3 })
        for _ in 0..<50 { bench.turn() }
        // The pairing's own, and those that were resumed.
        #expect(client(bench).idleCarriers == 3 && bench.clients[0].counters.resumes == 2)
        let streams = try (0..<2).map { _ in try bench.open() }
        #expect(bench.turn { client(bench).idleCarriers == 3 })
        #expect(bench.clients[0].counters.resumes == 4)
        withExtendedLifetime(streams) {}
    }

    @Test("A pool without a floor opens carriers on demand, and keeps what it has up to the cap")
    func onDemand() throws {
        let bench = try RolesBench(carrier: .own, pool: PoolSettings(floor: 0, cap: 2))
        let streams = try (0..<4).map { _ in try bench.open() }
        #expect(client(bench).idleCarriers == 0)
        for stream in streams {
            stream.application.close()
            stream.target.close()
        }
        #expect(bench.turn { bench.clients[0].counters.streamsOpen == 0 && client(bench).carriers.count == 2 })
        #expect(client(bench).idleCarriers == 2)
    }

    @Test("Carriers that nobody has needed for a while are closed, down to the floor")
    func trims() throws {
        let bench = try RolesBench(carrier: .own, pool: PoolSettings(floor: 1, cap: 20))
        let streams = try (0..<9).map { _ in try bench.open() }
        for stream in streams {
            stream.application.close()
            stream.target.close()
        }
        #expect(bench.turn { client(bench).idleCarriers >= 9 })
        var counts: [Int] = []
        for _ in 0..<12 {
            bench.clock.advance(by: .seconds(9))
            for _ in 0..<20 { bench.turn() }
            counts.append(client(bench).idleCarriers)
        }
        #expect(counts.last == 1 && zip(counts, counts.dropFirst()).allSatisfy { $0 >= $1 }, "\(counts)")
        #expect(bench.contradictions() == [])
    }

    @Test("The heavy loop keeps no idle carrier")
    func heavyKeepsNone() throws {
        let bench = try RolesBench(carrier: .own)
        let heavy = try bench.open()
        let flow = Flow(16_000_000, from: heavy.application, to: heavy.target, largest: 250_000, seed: 9)
        var wasAway = false
        #expect(
            bench.turn {
                for _ in 0..<8 { flow.step() }
                wasAway = wasAway || !bench.clients[0].roles[1].register.all.isEmpty
                return flow.ending != nil
            })
        heavy.application.close()
        heavy.target.close()
        #expect(wasAway)
        #expect(bench.turn { bench.clients[0].roles[1].carriers.isEmpty })
        #expect(bench.clients[0].roles[1].idleCarriers == 0 && bench.contradictions() == [])
    }
}
