import Testing
import Wire

@testable import Relay

@Suite struct ReuseTests {
    @Test("Stream after stream uses one carrier, each with bytes of its own")
    func sequence() throws {
        let tunnel = try Tunnel()
        for round in 1...30 as ClosedRange<UInt64> {
            let stream = try tunnel.open()
            tunnel.run(
                Flow(Int(round) * 999, from: stream.application, to: stream.target, largest: 70_000, seed: round),
                Flow(Int(round) * 77, from: stream.target, to: stream.application, largest: 70_000, seed: ~round))
            tunnel.settle()
            #expect(tunnel.isIdle)
        }
        #expect(tunnel.clientOwner.timesIdle == 30 && tunnel.serverOwner.timesIdle == 30)
        #expect(tunnel.serverOwner.opened.map(\.streamNumber) == Array(1...30))
    }

    @Test("A client that opens the next stream the moment the last one is over finds the server ready")
    func atOnce() throws {
        let tunnel = try Tunnel()
        let rounds = 20
        var applications = [tunnel.ask(sending: [0])]
        tunnel.clientOwner.onIdle = { [unowned tunnel] _ in
            guard applications.count < rounds else { return }
            let next = tunnel.ask(sending: [UInt8(applications.count)])
            applications.append(next)
        }
        for round in 0..<rounds {
            applications[round].shutdownWrite()
            let target = try tunnel.connectTarget()
            target.shutdownWrite()
            tunnel.settle()
            #expect(target.readAll() == ([UInt8(round)], .ended))
            #expect(applications[round].read() == .ended)
        }
        tunnel.clientOwner.onIdle = nil
        tunnel.settle()
        #expect(tunnel.isIdle)
    }

    @Test("The last bytes, FIN and CLOSED may come in one read, and the next stream opens at once")
    func oneRead() throws {
        let forger = try Forger(posingAs: .server)
        let first = try forger.connectApp()
        first.shutdownWrite()
        forger.settle()
        #expect(forger.received().map(\.type) == [.open, .fin])
        forger.hold()
        forger.data([1, 2])
        forger.fin(total: 2)
        forger.send(.closed)
        forger.release()
        let second = forger.bench.connection()
        second.1.write([3])
        forger.owner.onIdle = {
            $0.open(OpenMessage(streamNumber: 2, source: .none, service: ServiceID("b")!), for: second.0)
        }
        forger.settle()
        #expect(first.readAll() == ([1, 2], .ended))
        #expect(forger.received().map(\.type) == [.open, .data])
        forger.owner.onIdle = nil
    }

    @Test("An idle carrier holds no buffer, and a carrier with silent applications does not either")
    func silent() throws {
        let tunnel = try Tunnel()
        #expect(tunnel.lent == 0)
        let stream = try tunnel.open()
        tunnel.settle()
        #expect(tunnel.lent == 0)
        stream.application.write([1])
        tunnel.settle()
        #expect(tunnel.lent == 0)
    }
}
