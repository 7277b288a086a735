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

    // MARK: Sweeps

    private static let short = Lifetimes(epoch: .seconds(30), idle: .seconds(100), lifetime: .seconds(1000))

    /// Lets the time of all go on by `duration`, in steps that leave nobody time to think.
    private func pass(_ duration: Duration, _ bench: RolesBench) {
        for _ in 0..<Int(duration / .milliseconds(250)) {
            bench.clock.advance(by: .milliseconds(250))
            for _ in 0..<3 { bench.turn() }
        }
    }

    @Test("A server wipes a conversation when its idle time is over, and sleeps without conversations")
    func swept() throws {
        let bench = try RolesBench(lifetimes: Self.short)
        let vault = bench.server.roles[0].shared.vault
        let start = bench.server.shards[0].moment
        let id = try #require(bench.clients[0].roles[0].shared.conversation)
        pass(.seconds(97), bench)
        let moment = bench.server.shards[0].moment
        let expiry = try #require(vault.expiry(of: id, at: moment))
        #expect(vault.count == 1 && expiry - moment < .seconds(5) && moment - start > .seconds(95))
        pass(expiry - moment - .milliseconds(500), bench)
        #expect(vault.count == 1)
        pass(.seconds(1), bench)
        #expect(vault.count == 0)
        pass(.seconds(10), bench)
        #expect(bench.server.roles.allSatisfy { $0.register.all.isEmpty })
        #expect(bench.server.shards.allSatisfy { $0.timers.next == nil }, "nothing wakes it")
    }

    @Test("A server that nobody has paired with yet is not woken")
    func unpaired() throws {
        let bench = try RolesBench(devices: 0)
        #expect(bench.server.shards.allSatisfy { $0.timers.next == nil })
    }

    @Test("A conversation whose time passes while the server sleeps is wiped within a minute of waking")
    func sweptAfterSleep() throws {
        let bench = try RolesBench()
        let vault = bench.server.roles[0].shared.vault
        #expect(vault.count == 1)
        bench.serversNight.slept += Duration.seconds(3600).nanoseconds
        bench.turn()
        let id = try #require(bench.clients[0].roles[0].shared.conversation)
        #expect(!vault.isLive(id, at: bench.server.shards[0].moment), "nothing expired is served")
        pass(.seconds(61), bench)
        #expect(vault.count == 0)
    }

    @Test("A conversation with an open stream outlives its idle time, and goes on for as long again when that ends")
    func inUse() throws {
        let bench = try RolesBench(lifetimes: Self.short)
        let id = try #require(bench.clients[0].roles[0].shared.conversation)
        let vault = bench.server.roles[0].shared.vault
        let stream = try bench.open()
        pass(.seconds(250), bench)
        #expect(vault.isLive(id, at: bench.server.shards[0].moment))
        #expect(bench.clients[0].roles[0].shared.conversation == id)
        stream.application.write([1])
        #expect(bench.turn { stream.target.readAll().bytes == [1] })
        stream.application.close()
        stream.target.close()
        #expect(bench.turn { bench.server.counters.streamsOpen == 0 })
        pass(.seconds(95), bench)
        #expect(vault.isLive(id, at: bench.server.shards[0].moment))
        pass(.seconds(10), bench)
        #expect(vault.count == 0)
    }

    // MARK: The next conversation

    /// Nine tenths of 1000 s pass, and the device pairs anew.
    private func renew(_ client: ClientRole, _ bench: RolesBench) throws {
        let first = client.shared.conversation
        pass(.seconds(890), bench)
        #expect(client.shared.conversation == first)
        try #require(
            bench.turn {
                bench.clock.advance(by: .milliseconds(5))
                return client.shared.conversation != first
            })
        #expect(client.shared.conversation != nil)
    }

    @Test("A conversation that another replaces is logged off, long before it expires")
    func replaced() throws {
        let bench = try RolesBench(lifetimes: Lifetimes(lifetime: .seconds(1000)))
        let client = bench.clients[0].roles[0]
        let vault = bench.server.roles[0].shared.vault
        let first = try #require(client.shared.conversation)
        try renew(client, bench)
        #expect(bench.turn { !vault.isLive(first, at: bench.server.shards[0].moment) })
        #expect(vault.count == 1)
    }

    @Test(
        "A conversation that another replaces is not logged off while a stream of it is open, and then it is",
        arguments: [CarrierChoice.shared, .own])
    func replacedInUse(_ choice: CarrierChoice) throws {
        let bench = try RolesBench(carrier: choice, lifetimes: Lifetimes(lifetime: .seconds(1000)))
        let client = bench.clients[0].roles[0]
        let vault = bench.server.roles[0].shared.vault
        let first = try #require(client.shared.conversation)
        let stream = try bench.open()
        try renew(client, bench)
        for _ in 0..<500 { bench.turn() }
        #expect(vault.isLive(first, at: bench.server.shards[0].moment) && vault.count == 2)
        stream.application.write([1])
        #expect(bench.turn { stream.target.readAll().bytes == [1] })
        stream.target.write([2])
        #expect(bench.turn { stream.application.read() == .bytes([2]) })
        stream.application.close()
        stream.target.close()
        #expect(bench.turn { !vault.isLive(first, at: bench.server.shards[0].moment) })
        #expect(vault.count == 1 && bench.clients[0].counters.brokenStreams == 0)
    }
}
