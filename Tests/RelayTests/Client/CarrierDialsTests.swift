// When a client's loop dials, and when it waits. The server's address is a socket that only counts who connects.
import Glibc
import Testing

@testable import Relay

@Suite struct CarrierDialsTests {
    private final class Owner: CarrierDialsOwner {
        var demand = CarrierDemand(waitedFor: 0, ahead: 0)
        var failures: [String] = []
        var lacks = 0
        var rejections = 0

        func isOpened(_ link: consuming ProvenLink) { link.endpoint.close() }
        func lacksConversation() { lacks += 1 }
        func conversationIsRejected() { rejections += 1 }
        func dialFailed(_ why: String) { failures.append(why) }
        func dialIsShort(of what: String) { failures.append(what) }
    }

    private let client: ClientBench
    private let owner = Owner()
    private let dials: CarrierDials

    init() throws {
        client = try ClientBench()
        dials = CarrierDials(client.shared, on: client.bench.shard, for: owner)
    }

    private func demand(_ waitedFor: Int, ahead: Int = 0) {
        owner.demand = CarrierDemand(waitedFor: waitedFor, ahead: ahead)
    }

    /// Waits until everybody who dials has come.
    private func arrivals(_ count: Int) -> Bool {
        var all = 0
        return client.bench.turn {
            all += client.arrivals()
            return all >= count
        } && all == count
    }

    /// The server closes every connection that has come.
    private func fail() {
        // `arrivals` closes.
        _ = client.bench.turn {
            _ = client.arrivals()
            return dials.underWay.isEmpty
        }
    }

    @Test("As many are opened as are missing, and those on their way are not opened again")
    func refill() {
        demand(1, ahead: 2)
        for _ in 0..<3 { dials.refill() }
        #expect(dials.underWay.count == 3)
        demand(2, ahead: 2)
        dials.refill()
        #expect(dials.underWay.count == 4)
        #expect(arrivals(4))
        dials.stop()
    }

    @Test("Without a conversation nobody is dialled, and the owner hears of it")
    func noConversation() {
        client.shared.forget()
        demand(1)
        dials.refill()
        #expect(dials.underWay.isEmpty && owner.lacks == 1)
    }

    @Test("After a failure there is a pause, which nobody but an application in a hurry cuts short, down to the pace")
    func pause() {
        demand(0, ahead: 1)
        dials.refill()
        fail()
        #expect(owner.failures == ["closed in the handshake"])
        dials.refill()
        #expect(dials.underWay.isEmpty, "a pause")
        demand(1, ahead: 0)
        dials.hurry()
        #expect(dials.underWay.isEmpty, "not within the pace")
        client.bench.pass(.nanoseconds(CarrierDials.pace))
        #expect(dials.underWay.count == 1)
        dials.stop()
    }

    @Test("An application in a hurry dials at once where the last dial was long ago")
    func hurry() {
        demand(0, ahead: 1)
        for _ in 0..<8 {
            dials.refill()
            fail()
            client.pass(.seconds(5), step: .milliseconds(50))
        }
        fail()
        client.bench.pass(.nanoseconds(CarrierDials.pace))
        demand(1)
        dials.hurry()
        #expect(!dials.underWay.isEmpty)
        dials.stop()
    }

    @Test("A pause ends by itself, and dials what is missing then")
    func pauseEnds() {
        demand(1)
        dials.refill()
        fail()
        #expect(dials.underWay.isEmpty)
        client.bench.pass(.nanoseconds(Backoff.first))
        #expect(dials.underWay.count == 1)
        dials.stop()
    }

    @Test("A pause after carriers that were of no use is not cut short by anybody")
    func useless() {
        dials.wasUseless()
        demand(1)
        dials.hurry()
        client.bench.clock.advance(by: .milliseconds(1))
        dials.hurry()
        dials.refill()
        #expect(dials.underWay.isEmpty)
        client.bench.pass(.nanoseconds(Backoff.first))
        #expect(dials.underWay.count == 1)
        dials.stop()
    }

    @Test("After so many of no use one at a time is asked for, until one was of use")
    func wary() {
        demand(5)
        for _ in 0..<3 {
            dials.wasUseless()
            dials.endPause()
        }
        dials.refill()
        #expect(dials.underWay.count == 1)
        dials.wasUseful()
        dials.refill()
        #expect(dials.underWay.count == 5)
        dials.stop()
    }

    @Test("A new conversation ends a pause at once")
    func endPause() {
        dials.wasUseless()
        dials.endPause()
        demand(1)
        dials.refill()
        #expect(dials.underWay.count == 1)
        // Where there is no pause there is nothing to end.
        dials.endPause()
        #expect(dials.underWay.count == 1)
        dials.stop()
    }

    @Test("Beside a dial that hangs others are tried, a few, and only while somebody waits", arguments: [true, false])
    func hanging(_ isWaitedFor: Bool) {
        if isWaitedFor { demand(1) } else { demand(0, ahead: 1) }
        dials.refill()
        #expect(dials.underWay.count == 1)
        for _ in 0..<5 { client.bench.pass(.nanoseconds(CarrierDials.hanging)) }
        #expect(dials.underWay.count == (isWaitedFor ? 1 + CarrierDials.mostBeside : 1))
        dials.stop()
    }

    @Test("What is stopped dials no more, whoever asks and whatever was planned")
    func stop() {
        demand(3)
        dials.refill()
        dials.stop()
        #expect(dials.underWay.isEmpty && client.bench.shard.poller.endpoints == 0)
        dials.refill()
        dials.hurry()
        dials.wasUseless()
        dials.endPause()
        for _ in 0..<10 { client.bench.pass(.seconds(1)) }
        #expect(dials.underWay.isEmpty && owner.failures.isEmpty)
    }

    @Test("A conversation that was rejected is told once, however many dials hear of it")
    func rejected() throws {
        demand(3)
        dials.refill()
        var sockets: [TestSocket] = []
        #expect(
            client.bench.turn {
                while let socket = client.arrival() { sockets.append(socket) }
                for socket in sockets where socket.read() != .nothingYet {
                    socket.write([0x4F, 0x57, 1, 5])
                }
                return dials.underWay.isEmpty
            })
        #expect(owner.rejections == 1 && owner.lacks > 0, "the others find that there is no conversation")
        #expect(!client.shared.hasConversation(at: client.bench.shard.moment))
    }
}
