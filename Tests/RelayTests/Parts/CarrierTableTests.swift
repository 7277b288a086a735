import Pairing
import Settings
import Testing
import Wire

@testable import Relay

/// The lists that a role keeps of its carriers.
@Suite struct CarrierTableTests {
    /// Two carriers of a server: one idle, one with a stream.
    private func carriers() throws -> (Forger, Carrier, Forger, Carrier, TestSocket) {
        let (idle, busy) = (try Forger(posingAs: .client), try Forger(posingAs: .client))
        for forger in [idle, busy] { forger.send(.confirm) }
        busy.open()
        let target = try busy.connectApp()
        idle.settle()
        busy.settle()
        return (idle, idle.carrier, busy, busy.carrier, target)
    }

    @Test("A carrier is in the table from the moment it is adopted until it is taken out, which works once")
    func members() throws {
        let (idle, first, busy, second, target) = try carriers()
        var table = CarrierTable()
        #expect(table.isEmpty)
        table.adopt(first)
        table.adopt(second)
        table.adopt(second)
        #expect(table.count == 2 && table[first.ticket] === first && table[Ticket()] == nil)
        #expect(table.contains { $0 === second } && table.first { $0.phase == .streaming } === second)
        #expect(table.takeOut(first) && !table.takeOut(first))
        #expect(table.all.map(\.ticket) == [second.ticket] && table[first.ticket] == nil)
        withExtendedLifetime((idle, busy, target)) {}
    }

    @Test("Idle carriers and streams are counted, and a cut ends the ones in order and breaks the others")
    func cut() throws {
        let (idle, first, busy, second, target) = try carriers()
        var table = CarrierTable()
        table.adopt(first)
        table.adopt(second)
        #expect(table.idle == 1 && table.streams == 1)
        #expect(table.lastHeard == max(first.lastHeard, second.lastHeard))
        table.cut()
        #expect(idle.owner.endedInOrder && first.phase == .closed)
        busy.settle()
        #expect(busy.received().map(\.type).contains(.abort) && table.streams == 0)
        #expect(target.read() != .nothingYet)
    }

    @Test("A stream on a shared carrier is found by its number and its conversation, as long as it is there")
    func trunks() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client, streams: 2)
        let carrier = forger.carrier
        var trunks = Trunks()
        trunks.add(carrier)
        #expect(trunks.all.count == 1)
        #expect(trunks.stream(2, of: carrier.peer.conversation)?.number == 2)
        #expect(trunks.stream(3, of: carrier.peer.conversation) == nil)
        #expect(trunks.stream(2, of: ConversationIDMint(.generate()).mint()) == nil)
        #expect(trunks.isInUse(besidesOneOn: carrier), "there is a second one")
        forger.say(.abort(1, .applicationReset))
        forger.settle()
        #expect(!trunks.isInUse(besidesOneOn: carrier))
        trunks.remove(carrier)
        #expect(trunks.all.isEmpty && trunks.stream(2, of: carrier.peer.conversation) == nil)
        withExtendedLifetime(apps) {}
    }

    @Test("A carrier that is confirmed in time has no deadline any more; one that is not is given up at it")
    func confirmations() throws {
        for isInTime in [true, false] {
            let forger = try Forger(posingAs: .client)
            let (bench, carrier) = (forger.bench, forger.carrier)
            let address = try #require(SocketAddress(literal: .tcp(host: "127.0.0.1", port: 1)))
            var confirmations = Confirmations()
            confirmations.expect(carrier, from: address, storing: nil, by: bench.shard.now + 1_000_000_000)
            #expect(confirmations.awaits(carrier))
            bench.pass(.milliseconds(900))
            if isInTime { #expect(confirmations.take(carrier)?.address == address) }
            bench.pass(.milliseconds(200))
            #expect(forger.owner.lostBecause == (isInTime ? nil : "not confirmed in time"))
            #expect(confirmations.awaits(carrier) != isInTime)
            #expect((confirmations.take(carrier) == nil) == isInTime)
        }
    }

    @Test("Carriers of one device share an allowance until the last of them has gone")
    func allowances() throws {
        let (idle, first, busy, _, target) = try carriers()
        var allowances = Allowances()
        allowances.add(first)
        allowances.add(first)
        #expect(allowances.count == 1 && allowances.allowance(of: first.peer.device) === first.allowance)
        allowances.remove(first)
        #expect(allowances.allowance(of: first.peer.device) === first.allowance)
        allowances.remove(first)
        #expect(allowances.count == 0 && allowances.allowance(of: first.peer.device) !== first.allowance)
        withExtendedLifetime((idle, busy, target)) {}
    }
}
