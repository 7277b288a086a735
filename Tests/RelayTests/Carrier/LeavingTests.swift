import Testing
import Wire

@testable import Relay

/// A server leaves carriers of one stream each; `SharedEndingTests` has those of many.
@Suite struct LeavingTests {
    @Test("A stream whose OPEN crosses LEAVING is served to its end, and the client closes")
    func openCrosses() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.settle()
        forger.carrier.retire()
        forger.settle()
        #expect(forger.received().map(\.type) == [.leaving])
        forger.open()
        forger.data([1, 2, 3])
        let target = try forger.connectApp()
        target.write([4])
        forger.settle()
        #expect(target.read() == .bytes([1, 2, 3]))
        target.shutdownWrite()
        forger.fin(total: 3)
        forger.settle()
        #expect(forger.received().map(\.type) == [.data, .fin, .closed])
        #expect(target.read() == .ended)
        #expect(forger.carrier.phase == .idle && forger.owner.ending == nil)
        forger.link.close()
        forger.settle()
        #expect(forger.owner.endedInOrder)
    }

    @Test("LEAVING is not said before the client has confirmed the carrier")
    func unconfirmed() throws {
        let forger = try Forger(posingAs: .client)
        forger.carrier.retire()
        forger.settle()
        #expect(forger.received().isEmpty)
        forger.send(.confirm)
        forger.settle()
        #expect(forger.received().map(\.type) == [.leaving])
    }

    @Test("An idle client closes at LEAVING")
    func idleClient() throws {
        let tunnel = try Tunnel()
        tunnel.server.retire()
        tunnel.settle()
        #expect(tunnel.clientOwner.calls.contains(.leaves))
        #expect(tunnel.clientOwner.endedInOrder && tunnel.serverOwner.endedInOrder)
    }

    @Test("A stream during which LEAVING comes goes on, and every byte arrives")
    func duringStream() throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open()
        tunnel.server.retire()
        tunnel.settle()
        #expect(tunnel.clientOwner.calls.contains(.leaves) && tunnel.client.isRetiring)
        tunnel.run(
            Flow(300_000, from: stream.application, to: stream.target, largest: 9000, seed: 1),
            Flow(300_000, from: stream.target, to: stream.application, largest: 9000, seed: 2))
        #expect(tunnel.turn { tunnel.clientOwner.timesIdle == 1 })
        #expect(tunnel.client.phase == .idle && tunnel.bench.shard.counters.brokenStreams == 0)
    }
}
