import Synchronization
import Testing

@testable import Relay

/// Letters to a role on another loop, and what becomes of those that nobody can read.
@Suite struct DoorTests {
    /// A role that ends when it is told to, and writes down what came.
    private final class Diarist: Role {
        let door: Door<Diarist>
        var pages: [String] = []
        init(_ mailbox: Mailbox) { door = Door(mailbox) }
        func begin() { pages.append("begin") }
        func drain() { pages.append("drain") }
        func everybodyDrains() {}
        func cut() { pages.append("cut") }
        var isFinished: Bool { pages.contains("drain") }
        func gauge(_ counters: inout Counters) { counters.carriersIdle = 7 }
    }

    @Test("A letter is opened by the role, on its loop, in the next turn")
    func sent() throws {
        let bench = try Bench()
        let role = Diarist(bench.shard.mailbox)
        bench.shard.begin(role)
        #expect(role.door.send { $0.pages.append("letter") })
        #expect(role.pages == ["begin"])
        bench.turn()
        #expect(role.pages == ["begin", "letter"])
        bench.shard.forgetRole()
    }

    @Test("A role that has ended takes no letter, and who sends one learns that once its loop has ended")
    func ended() throws {
        let bench = try Bench()
        let role = Diarist(bench.shard.mailbox)
        let door = role.door
        bench.shard.mailbox.post { [shard = Unshared(bench.shard)] in shard.value.drain(limit: 1_000_000_000) }
        // Sent before the loop ends, and so read by it.
        #expect(door.send { $0.pages.append("in time") })
        bench.shard.run(role)
        #expect(role.pages == ["begin", "drain", "in time"])
        #expect(!door.send { $0.pages.append("too late") })
        bench.turn()
        #expect(role.pages == ["begin", "drain", "in time"])
    }

    @Test("A door holds its role as long as it is open and no longer")
    func released() throws {
        let bench = try Bench()
        weak var watched: Diarist?
        var door: Door<Diarist>?
        do {
            let role = Diarist(bench.shard.mailbox)
            watched = role
            door = role.door
            bench.shard.begin(role)
        }
        #expect(watched != nil)
        bench.shard.forgetRole()
        #expect(watched == nil)
        withExtendedLifetime(door) {}
    }

    @Test("The loop asks its role for what can be seen now, and has nothing of its own to say")
    func gauges() throws {
        let bench = try Bench()
        #expect(bench.shard.gauged().carriersIdle == 0)
        bench.shard.begin(Diarist(bench.shard.mailbox))
        #expect(bench.shard.gauged().carriersIdle == 7)
        bench.shard.forgetRole()
    }

    private final class Remnant: Lingerer {
        let ticket = Ticket()
        unowned let shard: Shard
        init(_ shard: Shard) { self.shard = shard }
        func cut() { shard.forget(self) }
    }

    @Test("A loop does not end before what lingers there, which a cut ends")
    func lingers() throws {
        let bench = try Bench()
        let role = Diarist(bench.shard.mailbox)
        bench.shard.keep(Remnant(bench.shard))
        let clock = Unshared(bench.clock)
        role.door.send { role in
            role.door.send { role in
                role.pages.append("still here")
                clock.value.advance(by: .seconds(1))
            }
        }
        bench.shard.mailbox.post { [shard = Unshared(bench.shard)] in shard.value.drain(limit: 1_000_000) }
        bench.shard.run(role)
        #expect(role.pages == ["begin", "drain", "still here", "cut"])
        #expect(bench.shard.lingerers(Remnant.self) == 0)
    }

    private final class Ender: TurnEnder {
        unowned let shard: Shard
        var turns: [UInt64] = []
        init(_ shard: Shard) { self.shard = shard }
        func endTurn() {
            turns.append(shard.turns)
            if turns.count < 3 { shard.atEndOfTurn(self) }
        }
    }

    @Test("What asks again at the end of a turn is not called without end in it")
    func turnEnds() throws {
        let bench = try Bench()
        let ender = Ender(bench.shard)
        bench.shard.atEndOfTurn(ender)
        // A turn has three ends: after letters, after drivers, after events.
        bench.turn()
        #expect(ender.turns == [1, 1, 1])
        bench.turn()
        #expect(ender.turns.count == 3)
    }
}

/// Takes something into a letter that is opened on the thread that sent it.
private final class Unshared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
