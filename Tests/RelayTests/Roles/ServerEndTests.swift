// How a server ends: it drains, it is cut, and conversations end on it while it goes on.
import Pairing
import Settings
import Testing
import Vault
import Wire

@testable import Relay

@Suite struct ServerEndTests {
    private func drain(_ bench: RolesBench, limit: Duration = .seconds(100)) {
        for shard in bench.server.shards { shard.drain(limit: limit.nanoseconds) }
    }

    private func hasFinished(_ bench: RolesBench) -> Bool { bench.server.roles.allSatisfy(\.isFinished) }

    private func carriers(_ bench: RolesBench) -> Int {
        bench.server.roles.reduce(0) { $0 + $1.register.all.count }
    }

    private func flows(_ stream: Tunnel.Stream, _ count: Int) -> [Flow] {
        [
            Flow(count, from: stream.application, to: stream.target, largest: 100_000, seed: 1),
            Flow(count, from: stream.target, to: stream.application, largest: 100_000, seed: 2),
        ]
    }

    private func run(_ flows: [Flow], _ bench: RolesBench) {
        #expect(
            bench.turn {
                for flow in flows { for _ in 0..<8 { flow.step() } }
                return flows.allSatisfy { $0.ending != nil }
            }, "stuck")
        #expect(flows.allSatisfy { $0.isComplete })
    }

    // MARK: Drain

    @Test(
        "A server that drains lets its streams end, every byte of them, and ends after the last",
        arguments: [CarrierChoice.shared, .own])
    func drains(_ choice: CarrierChoice) throws {
        let bench = try RolesBench(carrier: choice)
        let streams = try (0..<3).map { _ in try bench.open() }
        drain(bench)
        #expect(bench.server.events.contains { if case .draining(streams: 3) = $0 { true } else { false } })
        for stream in streams {
            for _ in 0..<20 { bench.turn() }
            #expect(!hasFinished(bench))
            run(flows(stream, 50_000), bench)
        }
        #expect(bench.turn { hasFinished(bench) })
        #expect(bench.server.counters.brokenStreams == 0 && bench.clients[0].counters.brokenStreams == 0)
        #expect(bench.server.counters.streamsOpen == 0 && bench.server.counters.carriersOpen == 0)
    }

    @Test("A server without streams drains at once: its clients give up the idle carriers")
    func drainsIdle() throws {
        let bench = try RolesBench(devices: 2)
        #expect(bench.turn { carriers(bench) >= 4 })
        bench.server.forgetEvents()
        drain(bench)
        #expect(bench.turn { hasFinished(bench) && carriers(bench) == 0 })
        #expect(!bench.server.events.contains { if case .draining = $0 { true } else { false } })
        #expect(bench.clients.allSatisfy { $0.counters.brokenStreams == 0 })
    }

    @Test("A heavy stream on the other loop ends in its own time, too, and only then the server")
    func drainsHeavy() throws {
        let bench = try RolesBench()
        let stream = try bench.open()
        let flows = flows(stream, 12_000_000)
        #expect(
            bench.turn {
                for flow in flows { for _ in 0..<8 { flow.step() } }
                return bench.server.roles[1].register.all.contains { $0.hasStream }
            })
        drain(bench)
        for _ in 0..<50 { bench.turn() }
        #expect(!hasFinished(bench))
        run(flows, bench)
        #expect(bench.turn { hasFinished(bench) })
        #expect(bench.server.counters.brokenStreams == 0)
    }

    @Test("While one loop of the server does not drain, none of them ends: it could still give them a carrier")
    func drainsTogether() throws {
        let bench = try RolesBench()
        bench.server.shards[0].drain(limit: 100_000_000_000)
        #expect(bench.turn { bench.server.roles[0].register.all.isEmpty })
        for _ in 0..<50 { bench.turn() }
        #expect(!bench.server.roles[0].isFinished && !bench.server.roles[1].isFinished)
        bench.server.shards[1].drain(limit: 100_000_000_000)
        #expect(bench.turn { hasFinished(bench) })
    }

    @Test(
        "An application that comes while the server drains is not reset: it waits for another server",
        arguments: [CarrierChoice.shared, .own])
    func opensWhileDraining(_ choice: CarrierChoice) throws {
        let bench = try RolesBench(carrier: choice)
        let first = try bench.open()
        // The client has not heard of it when it opens the stream.
        let second = try bench.ask()
        bench.turnClients()
        bench.turnClients()
        drain(bench)
        let third = try bench.ask()
        for _ in 0..<200 { bench.turn() }
        #expect(second.read() == .nothingYet && third.read() == .nothingYet)
        #expect(bench.clients[0].counters.brokenStreams == 0)
        run(flows(first, 1000), bench)
    }

    @Test("When the drain's time has passed streams are reset at both ends, and the server ends")
    func cut() throws {
        let bench = try RolesBench(devices: 2)
        let streams = try (0..<2).flatMap { [try bench.open($0), try bench.open($0)] }
        drain(bench, limit: .seconds(3))
        bench.pass(.milliseconds(2900))
        #expect(streams.allSatisfy { $0.application.read() == .nothingYet && $0.target.read() == .nothingYet })
        bench.pass(.milliseconds(200))
        #expect(bench.server.events.contains { if case .cut(streams: 4) = $0 { true } else { false } })
        for stream in streams {
            #expect(bench.turn { stream.application.read() == .broken(TestSocket.connectionReset) })
            #expect(bench.turn { stream.target.read() == .broken(TestSocket.connectionReset) })
        }
        #expect(bench.turn { hasFinished(bench) })
        #expect(bench.server.counters.brokenStreams == 4 && bench.server.counters.streamsOpen == 0)
    }

    @Test("A cut reaches a heavy stream on the other loop, too")
    func cutHeavy() throws {
        let bench = try RolesBench()
        let stream = try bench.open()
        let flows = flows(stream, 200_000_000)
        #expect(
            bench.turn {
                for flow in flows { for _ in 0..<8 { flow.step() } }
                return bench.server.roles[1].register.all.contains { $0.hasStream }
            })
        drain(bench, limit: .seconds(1))
        bench.pass(.milliseconds(1100))
        #expect(bench.turn { hasFinished(bench) })
        #expect(bench.server.counters.brokenStreams == 1)
        for socket in [stream.application, stream.target] {
            #expect(bench.turn { socket.readAll().then == .broken(TestSocket.connectionReset) })
        }
    }

    // MARK: Conversations

    @Test("A client that logs off ends its conversation at the server, on all loops, and nobody else's")
    func logsOff() throws {
        let bench = try RolesBench(devices: 2)
        let other = try bench.open(1)
        let vault = bench.server.roles[0].shared.vault
        #expect(vault.count == 2)
        let id = try #require(bench.clients[0].roles[0].shared.conversation)
        bench.server.forgetEvents()
        for shard in bench.clients[0].shards { shard.drain(limit: 10_000_000_000) }
        #expect(bench.turn { vault.count == 1 && !vault.isLive(id, at: bench.server.shards[0].moment) })
        #expect(
            bench.turn {
                bench.server.roles.allSatisfy { $0.register.all.allSatisfy { !$0.belongs(to: id) } }
            })
        let goodbyes = bench.server.events.compactMap { if case .conversationEnded(let why) = $0 { why } else { nil } }
        #expect(goodbyes == ["device device-0 logged off"])
        #expect(bench.turn { bench.clients[0].roles.allSatisfy(\.isFinished) })
        run(flows(other, 10_000), bench)
    }

    @Test("A client logs off after its last stream, not before, and the stream loses nothing")
    func logsOffAfterStreams() throws {
        let bench = try RolesBench()
        let stream = try bench.open()
        let vault = bench.server.roles[0].shared.vault
        for shard in bench.clients[0].shards { shard.drain(limit: 100_000_000_000) }
        for _ in 0..<100 { bench.turn() }
        #expect(vault.count == 1 && bench.clients[0].roles[0].isFinished == false)
        run(flows(stream, 300_000), bench)
        #expect(bench.turn { vault.count == 0 && bench.clients[0].roles.allSatisfy(\.isFinished) })
    }

    @Test("When a conversation has ended the next look tells the client, and closes what it leaves open soon after")
    func swept() throws {
        let bench = try RolesBench(devices: 0, strangers: 1, lifetimes: Lifetimes(idle: .seconds(80)))
        let caller = try bench.pair(as: bench.names[0])
        let vault = bench.server.roles[0].shared.vault
        vault.remove(try #require(bench.server.roles[0].register.all.first).peer.conversation)
        // Looked at every 10 s, an eighth of the idle time.
        bench.pass(.seconds(9))
        #expect(bench.server.roles[0].register.all.allSatisfy { !$0.isRetiring })
        bench.pass(.seconds(1))
        #expect(caller.receiveFrame() == .leaving)
        bench.pass(.seconds(4))
        #expect(carriers(bench) == 1)
        bench.pass(.seconds(1))
        #expect(carriers(bench) == 0)
        #expect(bench.turn { caller.socket.readAll().then == .ended })
    }

    @Test("A stream whose conversation has ended goes on, and its carrier ends after it")
    func sweptWithStream() throws {
        let bench = try RolesBench(carrier: .own)
        let stream = try bench.open()
        let old = try #require(bench.clients[0].roles[0].shared.conversation)
        bench.server.roles[0].shared.vault.remove(old)
        for _ in 0..<3 { bench.pass(.seconds(10)) }
        #expect(bench.server.roles[0].register.all.contains { $0.belongs(to: old) && $0.hasStream })
        run(flows(stream, 20_000), bench)
        #expect(
            bench.turn {
                bench.clock.advance(by: .milliseconds(50))
                return bench.server.roles.allSatisfy { $0.register.all.allSatisfy { !$0.belongs(to: old) } }
            })
        #expect(bench.server.counters.brokenStreams == 0)
    }
}
