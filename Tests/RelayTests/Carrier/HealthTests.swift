import Settings
import Testing
import Wire

@testable import Relay

@Suite struct HealthTests {
    private let settings = CommonSettings(heartbeat: .seconds(10), deadAfter: .seconds(30))

    @Test("A client asks after a heartbeat of silence, and every heartbeat again while nothing is heard")
    func ping() throws {
        let forger = try Forger(posingAs: .server, settings: settings)
        forger.bench.pass(.seconds(9))
        #expect(forger.received().isEmpty)
        forger.bench.pass(.seconds(2))
        #expect(forger.received().map(\.type) == [.ping])
        forger.bench.pass(.seconds(11))
        #expect(forger.received().map(\.type) == [.ping])
    }

    @Test("PING is answered with PONG, by both sides, with and without a stream")
    func pong() throws {
        let server = try Forger(posingAs: .client)
        server.send(.confirm)
        server.send(.ping)
        server.settle()
        #expect(server.received() == [Forger.Frame(type: .pong, plaintext: [])])
        server.open()
        let target = try server.connectApp()
        server.send(.ping)
        server.settle()
        #expect(server.received().map(\.type) == [.pong])
        #expect(target.read() == .nothingYet)

        let client = try Forger(posingAs: .server)
        client.send(.ping)
        client.settle()
        #expect(client.received().map(\.type) == [.pong])
    }

    @Test("A peer that says nothing is given up after the dead-peer time, not before")
    func dead() throws {
        let forger = try Forger(posingAs: .server, settings: settings)
        let application = try forger.connectApp(.tcp)
        for _ in 0..<29 { forger.bench.pass(.seconds(1)) }
        #expect(forger.carrier.phase == .streaming)
        for _ in 0..<2 { forger.bench.pass(.seconds(1)) }
        #expect(forger.owner.lostBecause?.hasPrefix("nothing heard") == true)
        #expect(forger.bench.turn { application.read() == .broken(TestSocket.connectionReset) })
    }

    @Test("Any whole frame is a sign of life")
    func alive() throws {
        let forger = try Forger(posingAs: .server, settings: settings)
        for _ in 0..<20 {
            forger.bench.pass(.seconds(20))
            #expect(forger.carrier.phase == .idle)
            forger.send(.pong)
            forger.bench.turn()
        }
    }

    @Test("Bytes that never become a frame are no sign of life")
    func partialFrame() throws {
        let forger = try Forger(posingAs: .server, settings: settings)
        let application = try forger.connectApp()
        let frame = forger.frame(.data, [UInt8](repeating: 1, count: 1000))
        for second in 0..<29 {
            forger.put([frame[second]])
            forger.bench.pass(.seconds(1))
        }
        for _ in 0..<2 { forger.bench.pass(.seconds(1)) }
        #expect(forger.owner.lostBecause?.hasPrefix("nothing heard") == true)
        withExtendedLifetime(application) {}
    }

    @Test("Two live ends never give each other up, however long they are silent")
    func silence() throws {
        let tunnel = try Tunnel(settings: settings)
        let stream = try tunnel.open()
        for _ in 0..<600 {
            tunnel.bench.pass(.seconds(1))
            tunnel.bench.turn()
        }
        #expect(tunnel.client.phase == .streaming && tunnel.server.phase == .streaming)
        stream.application.write([1])
        tunnel.settle()
        #expect(stream.target.read() == .bytes([1]))
    }

    @Test("A receiver whose application rests says PING by itself, and neither end gives up", arguments: [true, false])
    func stalled(_ towardsTarget: Bool) throws {
        let tunnel = try Tunnel(settings: settings)
        let stream = try tunnel.open()
        let (source, sink) =
            towardsTarget ? (stream.application, stream.target) : (stream.target, stream.application)
        var generator = SeededGenerator(seed: 21)
        let bytes = generator.bytes(4 << 20)
        var sent = 0
        while true {
            let count = source.write(bytes[sent...])
            if count == 0 { break }
            sent += count
            tunnel.settle()
        }
        let stalledEnd = towardsTarget ? tunnel.server : tunnel.client
        #expect(stalledEnd.isStalled)
        let framesBefore = tunnel.bench.shard.counters.framesOut
        for _ in 0..<300 {
            tunnel.bench.pass(.seconds(1))
            tunnel.bench.turn()
        }
        #expect(tunnel.bench.shard.counters.framesOut > framesBefore + 20)
        #expect(tunnel.client.phase == .streaming && tunnel.server.phase == .streaming)
        var received: [UInt8] = []
        _ = tunnel.turn {
            received += sink.readAll().bytes
            return received.count >= sent
        }
        #expect(received == Array(bytes[..<sent]))
    }

    @Test("A server that waits for its target says PING, and is not given up")
    func dialing() throws {
        let tunnel = try Tunnel(settings: settings)
        let application = tunnel.ask(sending: [1])
        #expect(tunnel.turn { tunnel.server.phase == .dialing })
        for _ in 0..<120 {
            tunnel.bench.pass(.seconds(1))
            tunnel.bench.turn()
        }
        #expect(tunnel.client.phase == .streaming && tunnel.server.phase == .dialing)
        let target = try tunnel.connectTarget()
        tunnel.settle()
        #expect(target.read() == .bytes([1]))
        withExtendedLifetime(application) {}
    }
}
