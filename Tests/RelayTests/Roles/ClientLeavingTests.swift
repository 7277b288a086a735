// Carriers that the server leaves, and streams and conversations that go on meanwhile.
import Glibc
import Settings
import Testing

@testable import Relay

@Suite struct ClientLeavingTests {
    private func client(_ bench: RolesBench) -> ClientRole { bench.clients[0].roles[0] }

    @Test(
        "When the server says LEAVING its streams go on to their end, and their carriers end with them",
        arguments: [CarrierChoice.shared, .own])
    func goesOn(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let stream = try bench.open()
        let before = Set(client(bench).register.all.map(\.ticket))
        for role in bench.server.roles { for carrier in role.register.all { carrier.retire() } }
        for _ in 0..<50 { bench.turn() }
        stream.application.write([1, 2, 3])
        #expect(bench.turn { stream.target.read() == .bytes([1, 2, 3]) })
        stream.application.close()
        stream.target.close()
        #expect(bench.turn { !client(bench).register.all.contains { before.contains($0.ticket) } })
        #expect(bench.clients[0].counters.brokenStreams == 0 && bench.server.counters.brokenStreams == 0)
    }

    @Test("New connections go to a carrier that is not leaving", arguments: [CarrierChoice.shared, .own])
    func newOnes(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let stream = try bench.open()
        let old = Set(client(bench).register.all.map(\.ticket))
        for role in bench.server.roles { for carrier in role.register.all { carrier.retire() } }
        for _ in 0..<20 { bench.turn() }
        let other = try bench.open()
        let carriers = client(bench).register.all.filter { $0.hasStream && !old.contains($0.ticket) }
        #expect(carriers.count == 1)
        #expect(bench.contradictions() == [])
        withExtendedLifetime((stream, other)) {}
    }

    @Test("Idle carriers that the server leaves are closed in order: no loss is told, and others take their place")
    func idle() throws {
        let bench = try RolesBench()
        #expect(bench.turn { client(bench).idleCarriers == 2 })
        for _ in 0..<50 { bench.turn() }
        let old = Set(client(bench).register.all.map(\.ticket))
        for role in bench.server.roles { for carrier in role.register.all { carrier.retire() } }
        #expect(
            bench.turn {
                bench.clock.advance(by: .milliseconds(2))
                let now = client(bench).register.idle.map(\.ticket)
                return now.count == 2 && !now.contains { old.contains($0) }
            })
        let events = bench.clients[0].lines
        #expect(!events.contains { $0.contains("lost") || $0.contains("broke") }, "\(events)")
    }

    @Test("A server that drains lets streams end, and connections that come then are reset when their time is over")
    func serverDrains() throws {
        let bench = try RolesBench(waiting: WaitingSettings(most: 10, atMost: .seconds(2)))
        let stream = try bench.open()
        for shard in bench.server.shards { shard.drain(limit: 60_000_000_000) }
        for _ in 0..<50 { bench.turn() }
        let late = try bench.ask()
        for _ in 0..<50 { bench.turn() }
        stream.application.write([5])
        #expect(bench.turn { stream.target.read() == .bytes([5]) })
        #expect(late.read() == .nothingYet)
        for _ in 0..<300 {
            bench.clock.advance(by: .milliseconds(10))
            bench.turn()
        }
        #expect(late.read() == .broken(ECONNRESET))
        stream.application.close()
        stream.target.close()
        #expect(bench.turn { bench.server.roles.allSatisfy(\.isFinished) })
        #expect(bench.server.counters.brokenStreams == 0)
    }

    @Test("A conversation that is over at the client ends its carriers; the next stream begins in a new one")
    func expired() throws {
        let bench = try RolesBench()
        let role = client(bench)
        let before = try #require(role.shared.conversation)
        let stream = try bench.open()
        role.shared.forget()
        role.tellAllLoops(.conversationExpired)
        #expect(bench.turn { role.trunk == nil && role.idleCarriers == 0 })
        let next = try bench.open()
        #expect(role.shared.conversation != nil && role.shared.conversation != before)
        stream.application.write([3])
        #expect(bench.turn { stream.target.read() == .bytes([3]) }, "what is open goes on")
        withExtendedLifetime(next) {}
    }

    @Test("A renewed conversation takes the place of the old one on every loop, and streams notice nothing")
    func renewed() throws {
        let bench = try RolesBench()
        let role = client(bench)
        let before = try #require(role.shared.conversation)
        let stream = try bench.open()
        let old = try #require(role.trunk)
        role.upstream.requestPairing(urgently: true)
        for _ in 0..<20 { bench.turn() }
        #expect(role.shared.conversation == before, "one stands already")
        #expect(role.shared.rejected(generation: 1))
        role.shared.wasUseful(before)
        bench.clock.advance(by: .seconds(6))
        role.upstream.requestPairing(urgently: true)
        #expect(bench.turn { role.shared.conversation != before })
        #expect(bench.turn { role.trunk !== old && role.idleCarriers > 0 })
        #expect(role.register.idle.allSatisfy { $0.belongs(to: role.shared.conversation) } && old.isRetiring)
        stream.application.write([4])
        #expect(bench.turn { stream.target.read() == .bytes([4]) })
        #expect(bench.clients[0].counters.pairings == 2 && bench.clients[0].counters.brokenStreams == 0)
    }
}
