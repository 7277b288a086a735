// Conversations that end at one side before the other knows of it. No application may notice.
import Pairing
import Settings
import Testing
import Vault

@testable import Relay

@Suite struct ConversationEndTests {
    private func bytes(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(count))
        return generator.bytes(count)
    }

    /// Turns until `socket` has received `count` bytes or has ended; returns what it received.
    private func received(_ count: Int, by socket: TestSocket, _ bench: RolesBench) -> [UInt8] {
        var all: [UInt8] = []
        _ = bench.turn {
            all += socket.readAll().bytes
            return all.count >= count
        }
        return all
    }

    @Test(
        "A connection that comes when the server has forgotten the conversation is served in the next one, its bytes once",
        arguments: [CarrierChoice.shared, .own], [0, 1, 100, 16_384, 60_000])
    func forgotten(_ carrier: CarrierChoice, _ count: Int) throws {
        let bench = try RolesBench(carrier: carrier)
        let client = bench.clients[0].roles[0]
        // Not the first stream of its carrier.
        let before = try bench.open()
        let first = try #require(client.shared.conversation)
        bench.server.roles[0].shared.vault.remove(first)
        let sent = bytes(count)
        let application = try bench.ask(sending: sent)
        var target: TestSocket?
        try #require(
            bench.turn {
                target = target ?? bench.arrival()
                return target != nil
            })
        #expect(received(count, by: try #require(target), bench) == sent)
        target?.write([7])
        #expect(received(1, by: application, bench) == [7])
        #expect(client.shared.conversation != first)
        #expect(bench.clients[0].counters.brokenStreams == 0)
        #expect(bench.arrival() == nil, "the stream came twice")
        _ = before
    }

    @Test(
        "Many connections at the moment of the end are served in the next conversation",
        arguments: [CarrierChoice.shared, .own])
    func many(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let client = bench.clients[0].roles[0]
        bench.server.roles[0].shared.vault.remove(try #require(client.shared.conversation))
        let applications = try (0..<40).map { try bench.ask(sending: bytes($0 + 1)) }
        var targets: [TestSocket] = []
        #expect(
            bench.turn {
                if let target = bench.arrival() { targets.append(target) }
                return targets.count == applications.count
            })
        #expect(bench.clients[0].counters.brokenStreams == 0)
        #expect(bench.clients[0].counters.pairings == 2)
        for _ in 0..<50 { bench.turn() }
        #expect(bench.arrival() == nil, "a stream came twice")
    }

    @Test("A server that forgets each conversation at once makes the client give up, not go on for ever")
    func hopeless() throws {
        let bench = try RolesBench()
        let client = bench.clients[0].roles[0]
        let application = try bench.ask(sending: [1])
        #expect(
            bench.turn {
                if let id = client.shared.conversation { bench.server.roles[0].shared.vault.remove(id) }
                bench.clock.advance(by: .milliseconds(5))
                return application.readAll().then != .nothingYet
            })
        #expect(bench.arrival() == nil)
    }

    @Test(
        "A carrier that the server has just closed is not given to a connection",
        arguments: [CarrierChoice.shared, .own])
    func closedBehindTheBack(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        #expect(
            bench.turn { bench.server.roles[0].register.all.count >= 2 && bench.clients[0].roles[0].pool.count >= 2 })
        for _ in 0..<50 { bench.turn() }
        // The client hears of the connection first, and of the carriers' ends afterwards.
        let application = try bench.ask(sending: [1, 2, 3])
        for carrier in bench.server.roles[0].register.all { carrier.end(.orderly) }
        var target: TestSocket?
        var wasInDoubt = false
        #expect(
            bench.turn {
                wasInDoubt = wasInDoubt || !bench.clients[0].roles[0].doubts.openings.isEmpty
                target = target ?? bench.arrival()
                return target != nil || application.readAll().then != .nothingYet
            })
        #expect(target.map { received(3, by: $0, bench) } == [1, 2, 3])
        #expect(bench.clients[0].counters.brokenStreams == 0)
        #expect(!wasInDoubt, "nothing was said there, so nothing has to be asked")
    }
}
