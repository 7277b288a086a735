// Conversations end by the clock that counts sleep, at both ends.
import Pairing
import Settings
import Testing
import Vault

@testable import Relay

@Suite struct LifetimeTests {
    /// A client and a server that pairs with it; default lifetimes.
    private let bench: RolesBench
    private let client: ClientRole
    private let first: ConversationID

    init() throws {
        bench = try RolesBench()
        client = bench.clients[0].roles[0]
        first = try #require(client.shared.conversation)
    }

    private func isLiveAtServer(at moment: Moment) -> Bool {
        bench.server.roles[0].shared.vault.isLive(first, at: moment)
    }

    @Test("A conversation whose time passes while the device sleeps has ended when it wakes, and the next one serves")
    func sleep() throws {
        bench.night.slept += Duration.seconds(3600).nanoseconds
        let application = try bench.ask(sending: [1])
        var target: TestSocket?
        #expect(
            bench.turn {
                target = target ?? bench.arrival()
                return target != nil || application.readAll().then != .nothingYet
            })
        #expect(target != nil && client.shared.conversation != first)
        #expect(isLiveAtServer(at: bench.server.shards[0].moment), "the server did not sleep")
    }

    @Test("A device stops a 64th of the idle time before the server, which serves to the last millisecond")
    func borders() throws {
        let (pairedAt, used) = try #require(
            bench.server.roles[0].shared.vault.withConversation(first, at: client.shard.moment) {
                ($0.pairedAt, $0.lastUsed)
            })
        #expect(used >= pairedAt)
        #expect(isLiveAtServer(at: used + .seconds(3600) - .milliseconds(1)))
        #expect(!isLiveAtServer(at: used + .seconds(3600)))
        // The device counts from its own last use, which no test sees: it is found by asking.
        var (living, over) = (client.shard.moment, client.shard.moment + .seconds(3600))
        #expect(client.shared.alive(at: living) == first && client.shared.alive(at: over) == nil)
        while over - living > .milliseconds(1) {
            let middle = Moment(milliseconds: (living.milliseconds + over.milliseconds) / 2)
            if client.shared.alive(at: middle) == nil { over = middle } else { living = middle }
        }
        #expect(over + .milliseconds(3_600_000 / 64) <= used + .seconds(3600))
        #expect(over + .milliseconds(3_600_000 / 64) + .seconds(60) > used + .seconds(3600))
    }
}
