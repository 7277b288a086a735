import Testing
import Wire

@testable import Relay

@Suite struct ResetTests {
    private func expectReset(_ tunnel: Tunnel, _ end: TestSocket) {
        var then = TestSocket.Reading.nothingYet
        #expect(
            tunnel.turn {
                then = end.readAll().then
                return then != .nothingYet
            })
        #expect(then == .broken(TestSocket.connectionReset))
        #expect(tunnel.turn { tunnel.client.phase == .closed && tunnel.server.phase == .closed })
        #expect(tunnel.lent == 0)
        let counters = tunnel.bench.shard.counters
        #expect(counters.brokenStreams == 2 && counters.streamsOpen == 0 && counters.carriersOpen == 0)
    }

    @Test("An application that resets makes the target see a reset, and the carrier goes")
    func application() throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open(.tcp)
        stream.application.write([1, 2, 3])
        #expect(tunnel.turn { tunnel.bench.shard.counters.bytesIn == 3 })
        stream.application.reset()
        expectReset(tunnel, stream.target)
        #expect(tunnel.serverOwner.brokenBecause == "the other side says: \(CloseReason.applicationReset)")
        #expect(tunnel.clientOwner.brokenBecause?.hasPrefix("application: ") == true)
    }

    @Test("A target that resets makes the application see a reset, and the carrier goes")
    func target() throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open(.tcp)
        stream.target.write([1, 2, 3])
        #expect(tunnel.turn { tunnel.bench.shard.counters.bytesIn == 3 })
        stream.target.reset()
        expectReset(tunnel, stream.application)
        #expect(tunnel.clientOwner.brokenBecause == "the other side says: \(CloseReason.targetReset)")
        #expect(tunnel.serverOwner.brokenBecause?.hasPrefix("target: ") == true)
    }

    @Test("A reset after one direction has ended still reaches the other side")
    func afterHalfClose() throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open(.tcp)
        stream.application.shutdownWrite()
        var then = TestSocket.Reading.nothingYet
        #expect(
            tunnel.turn {
                then = stream.target.read()
                return then == .ended
            })
        stream.target.reset()
        expectReset(tunnel, stream.application)
    }

    @Test("A stream that is given up ends both sides with its reason", arguments: CloseReason.allCases)
    func abort(_ reason: CloseReason) throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open(.tcp)
        tunnel.client.abort(.refused(reason))
        #expect(tunnel.client.phase == .departing && tunnel.client.app == nil)
        expectReset(tunnel, stream.application)
        #expect(tunnel.clientOwner.brokenBecause == "refused: \(reason)")
        #expect(tunnel.serverOwner.brokenBecause == "the other side says: \(reason)")
    }

    @Test(
        "A service that is refused resets the application that asked for it",
        arguments: CloseReason.allCases.filter { $0 != .draining && $0 != .withdrawn })
    func refuse(_ reason: CloseReason) throws {
        let tunnel = try Tunnel()
        let application = tunnel.ask(.tcp, sending: [1, 2, 3])
        #expect(tunnel.turn { tunnel.server.phase == .dialing })
        tunnel.server.refuse(reason)
        #expect(tunnel.turn { tunnel.client.phase == .closed && tunnel.server.phase == .closed })
        #expect(tunnel.clientOwner.brokenBecause == "the other side says: \(reason)")
        #expect(tunnel.turn { application.read() == .broken(TestSocket.connectionReset) })
        #expect(tunnel.lent == 0)
    }

    @Test("A stream that the server refuses because the conversation is over is given back with what it sent")
    func givenBack() throws {
        let tunnel = try Tunnel()
        tunnel.ask(.tcp, sending: [1, 2, 3])
        #expect(tunnel.turn { tunnel.server.phase == .dialing })
        tunnel.server.outlivedConversation()
        #expect(tunnel.turn { tunnel.client.phase == .closed && tunnel.server.phase == .closed })
        #expect(tunnel.clientOwner.calls.contains(.givenBack(3)))
        #expect(tunnel.clientOwner.brokenBecause == nil)
        #expect(tunnel.lent == 0)
    }

    @Test(
        "A stream that the server has answered, or that sent more than is kept, is not given back",
        arguments: [true, false])
    func notGivenBack(_ isAnswered: Bool) throws {
        let forger = try Forger(posingAs: .server)
        let application = try forger.connectApp()
        application.write([UInt8](repeating: 1, count: isAnswered ? 3 : FirstBytes.most + 1))
        forger.settle()
        if isAnswered { forger.data([7]) }
        forger.send(.refused, [CloseReason.draining.rawValue])
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(!forger.owner.calls.contains { if case .givenBack = $0 { true } else { false } })
        #expect(forger.owner.brokenBecause != nil)
    }

    @Test("A target that gives up after its answer is complete is no offence of the server")
    func targetResetAfterItsEnd() throws {
        // The target has answered and closed; the application has closed as well, but not all it sent has
        // reached the target, which the server finds out when it writes.
        let forger = try Forger(posingAs: .server)
        let application = try forger.connectApp()
        application.write([1, 2, 3])
        application.shutdownWrite()
        forger.settle()
        forger.fin(total: 0)
        forger.settle()
        #expect(forger.carrier.phase == .finishing)
        forger.send(.abort, [CloseReason.targetReset.rawValue])
        forger.settle()
        #expect(forger.carrier.phase == .closed)
        #expect(forger.owner.lostBecause == nil, "\(String(describing: forger.owner.ending))")
    }

    @Test("BYE reaches the server's owner, and the client's carrier closes in order")
    func bye() throws {
        let tunnel = try Tunnel()
        tunnel.client.sayBye()
        #expect(tunnel.clientOwner.endedInOrder)
        tunnel.settle()
        #expect(tunnel.serverOwner.calls.contains(.bye))
        #expect(tunnel.server.phase == .closed && tunnel.serverOwner.endedInOrder)
    }
}
