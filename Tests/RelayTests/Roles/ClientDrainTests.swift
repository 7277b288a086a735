// How a client ends: in order, with its last stream, or when its time is over.
import Glibc
import Settings
import Synchronization
import Testing
import Vault

@testable import Relay

@Suite struct ClientDrainTests {
    private let limit: Nanoseconds = 30_000_000_000

    private func drain(_ bench: RolesBench) {
        for shard in bench.clients[0].shards { shard.drain(limit: limit) }
    }

    private func isFinished(_ bench: RolesBench) -> Bool { bench.clients[0].roles.allSatisfy(\.isFinished) }

    private func light(_ bench: RolesBench) -> ClientRole { bench.clients[0].roles[0] }

    /// Both ends of a stream are closed in order.
    private func close(_ stream: Tunnel.Stream) {
        stream.application.close()
        stream.target.close()
    }

    @Test("A client without connections ends at once and logs off: the server forgets the conversation")
    func idle() throws {
        let bench = try RolesBench()
        let vault = bench.server.roles[0].shared.vault
        #expect(bench.turn { light(bench).idleCarriers == 2 } && vault.count == 1)
        let before = bench.clock.now
        drain(bench)
        #expect(bench.turn { isFinished(bench) && vault.count == 0 })
        #expect(bench.clock.now - before < limit / 10, "nothing was waited for")
        #expect(light(bench).shared.conversation == nil && bench.clients[0].counters.carriersOpen == 0)
        let events = bench.clients[0].lines
        #expect(!events.contains { $0.contains("lost") }, "\(events)")
    }

    @Test(
        "A client that drains serves new connections until its last stream has ended, and ends then",
        arguments: [CarrierChoice.shared, .own])
    func goesOn(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let first = try bench.open()
        drain(bench)
        for _ in 0..<50 { bench.turn() }
        #expect(light(bench).ending == .alone(isCut: false) && !isFinished(bench))
        let second = try bench.open()
        close(first)
        for _ in 0..<50 { bench.turn() }
        #expect(!isFinished(bench))
        second.application.write([1, 2])
        #expect(bench.turn { second.target.read() == .bytes([1, 2]) })
        close(second)
        #expect(bench.turn { isFinished(bench) })
        #expect(bench.clients[0].counters.brokenStreams == 0)
        #expect(bench.turn { bench.server.roles[0].shared.vault.count == 0 })
    }

    @Test("While it drains it opens nothing ahead of need, and keeps one carrier to log off on")
    func nothingAhead() throws {
        let bench = try RolesBench(carrier: .own, pool: PoolSettings(floor: 4, cap: 8))
        let stream = try bench.open()
        #expect(bench.turn { light(bench).idleCarriers >= 4 })
        let resumes = bench.clients[0].counters.resumes
        drain(bench)
        let others = try (0..<4).map { _ in try bench.open() }
        for other in others { close(other) }
        #expect(bench.turn { bench.clients[0].counters.streamsOpen == 1 })
        for _ in 0..<100 { bench.turn() }
        #expect(bench.clients[0].counters.resumes == resumes)
        #expect(light(bench).idleCarriers >= 1)
        close(stream)
        #expect(bench.turn { isFinished(bench) })
    }

    @Test("A stream that does not end is cut with a reset when the time is over, and the client ends")
    func cut() throws {
        for carrier in [CarrierChoice.shared, .own] {
            let bench = try RolesBench(carrier: carrier)
            let stream = try bench.open()
            drain(bench)
            for _ in 0..<20 { bench.turn() }
            bench.clock.advance(by: .nanoseconds(limit - 1_000_000_000))
            for _ in 0..<20 { bench.turn() }
            #expect(stream.application.read() == .nothingYet)
            bench.clock.advance(by: .seconds(1))
            #expect(bench.turn { stream.application.read() == .broken(ECONNRESET) })
            for _ in 0..<60 where !isFinished(bench) {
                bench.clock.advance(by: .milliseconds(100))
                for _ in 0..<5 { bench.turn() }
            }
            #expect(isFinished(bench))
            let events = bench.clients[0].lines
            #expect(events.contains { $0.contains("drain") }, "\(events)")
        }
    }

    @Test("A connection that waits while the client drains is waited for, and decides when it ends")
    func waiting() throws {
        let bench = try RolesBench(waiting: WaitingSettings(most: 10, atMost: .seconds(3)), isServerUp: false)
        let application = try bench.ask()
        for _ in 0..<20 { bench.turnClients() }
        #expect(light(bench).waiting.count == 1)
        drain(bench)
        for _ in 0..<100 { bench.turnClients() }
        #expect(!isFinished(bench) && application.read() == .nothingYet)
        bench.clock.advance(by: .seconds(3))
        for _ in 0..<20 { bench.turnClients() }
        #expect(application.read() == .broken(ECONNRESET))
        #expect(isFinished(bench))
    }

    @Test("Connections that wait when the time is over are reset")
    func waitingCut() throws {
        let bench = try RolesBench(waiting: WaitingSettings(most: 10, atMost: .seconds(300)), isServerUp: false)
        let applications = try (0..<3).map { _ in try bench.ask() }
        for _ in 0..<20 { bench.turnClients() }
        drain(bench)
        bench.clock.advance(by: .nanoseconds(limit))
        for _ in 0..<20 { bench.turnClients() }
        for application in applications { #expect(application.read() == .broken(ECONNRESET)) }
        #expect(isFinished(bench) && light(bench).shared.waiting.load(ordering: .relaxed) == 0)
    }

    @Test("A loop that has nothing left waits for the heavy one of its pair, and goes on serving meanwhile")
    func heavyPartner() throws {
        let bench = try RolesBench(carrier: .own)
        let heavy = try bench.open()
        let flow = Flow(64_000_000, from: heavy.application, to: heavy.target, largest: 250_000, seed: 3)
        #expect(
            bench.turn {
                for _ in 0..<8 { flow.step() }
                return bench.clients[0].roles[1].register.all.count == 1
            })
        drain(bench)
        for _ in 0..<20 { bench.turn() }
        #expect(!light(bench).ending.hasLeft && !isFinished(bench))
        let light = try bench.open()
        close(light)
        #expect(
            bench.turn {
                for _ in 0..<8 { flow.step() }
                return flow.ending != nil
            })
        #expect(flow.isComplete)
        close(heavy)
        #expect(bench.turn { isFinished(bench) })
        #expect(bench.clients[0].counters.brokenStreams == 0)
    }

    @Test("Only when both loops have come so far do they log off, both at once")
    func bothLoops() throws {
        let bench = try RolesBench()
        #expect(bench.turn { light(bench).idleCarriers == 2 })
        bench.clients[0].shards[0].drain(limit: limit)
        for _ in 0..<50 { bench.turn() }
        #expect(light(bench).ending == .draining(isCut: false), "the other one could still send a carrier")
        #expect(light(bench).shared.conversation != nil)
        bench.clients[0].shards[1].drain(limit: limit)
        #expect(bench.turn { isFinished(bench) })
        #expect(bench.clients[0].roles.allSatisfy { $0.ending == .loggedOff })
    }

    @Test("A loop that has been cut does not wait for what its partner has")
    func cutAlone() throws {
        let bench = try RolesBench(carrier: .own)
        let heavy = try bench.open()
        let flow = Flow(256_000_000, from: heavy.application, to: heavy.target, largest: 250_000, seed: 4)
        #expect(
            bench.turn {
                for _ in 0..<8 { flow.step() }
                return bench.clients[0].roles[1].register.all.count == 1
            })
        drain(bench)
        for _ in 0..<10 { bench.turn() }
        bench.clients[0].shards[0].cut()
        for _ in 0..<10 { bench.turn() }
        #expect(light(bench).ending.hasLeft)
        bench.clients[0].shards[1].cut()
        for _ in 0..<200 where !isFinished(bench) {
            bench.clock.advance(by: .milliseconds(100))
            for _ in 0..<5 { bench.turn() }
        }
        #expect(isFinished(bench))
        withExtendedLifetime(flow) {}
    }
}
