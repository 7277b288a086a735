import Settings
import Testing
import Wire

@testable import Relay

/// The link ends. The applications are on TCP where a reset must be told from an orderly end.
@Suite struct LossTests {
    private func ending(_ bench: Bench, _ end: TestSocket) -> (bytes: [UInt8], then: TestSocket.Reading) {
        var bytes: [UInt8] = []
        var then = TestSocket.Reading.nothingYet
        _ = bench.turn {
            let (more, next) = end.readAll()
            bytes += more
            then = next
            return next != .nothingYet
        }
        return (bytes, then)
    }

    @Test(
        "A link that ends in the middle of a stream resets the application", arguments: [Side.client, .server],
        [0, 1, 2])
    func incomplete(_ role: Side, _ finished: Int) throws {
        let forger = try Forger(posingAs: role)
        if role == .client {
            forger.send(.confirm)
            forger.open()
        }
        let app = try forger.connectApp(.tcp)
        forger.data([1, 2, 3])
        if finished == 1 { forger.fin(total: 3) }
        if finished == 2 { app.shutdownWrite() }
        #expect(
            forger.bench.turn {
                forger.carrier.ledger.received == 3 && forger.carrier.ledger.hasSentFin == (finished == 2)
            })
        forger.link.close()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        let (_, then) = ending(forger.bench, app)
        // With FIN received and delivered the application has had its orderly end before the link ended.
        #expect(then == (finished == 1 ? .ended : .broken(TestSocket.connectionReset)))
        #expect(forger.owner.lostBecause != nil)
        #expect(forger.bench.shard.counters.brokenStreams == 1)
        #expect(forger.bench.shard.regions.lent == 0)
    }

    @Test("A link that ends in the middle of a frame delivers nothing of that frame")
    func middleOfFrame() throws {
        let forger = try Forger(posingAs: .server)
        let application = try forger.connectApp(.tcp)
        let frame = forger.frame(.data, [UInt8](repeating: 7, count: 5000))
        forger.put(Array(frame.dropLast()))
        forger.link.close()
        let (bytes, then) = ending(forger.bench, application)
        #expect(bytes.isEmpty && then == .broken(TestSocket.connectionReset))
    }

    @Test("A link that ends between streams is an orderly end of the carrier")
    func idle() throws {
        let tunnel = try Tunnel()
        tunnel.server.end(.orderly)
        tunnel.settle()
        #expect(tunnel.clientOwner.endedInOrder)
    }

    @Test(
        "A link that ends behind a complete stream costs nothing, in order or by a reset that leaves the bytes readable",
        // 250 kB do not fit into the receiver's window at once: there a reset would lose what was not sent.
        arguments: [(1000, false), (1000, true), (100_000, false), (100_000, true), (250_000, false)])
    func completeButUnread(_ count: Int, _ byReset: Bool) throws {
        let forger = try Forger(posingAs: .server, link: .tcp)
        let application = try forger.connectApp()
        application.shutdownWrite()
        #expect(forger.bench.turn { forger.carrier.ledger.hasSentFin })
        var generator = SeededGenerator(seed: 31)
        let bytes = generator.bytes(count)
        var rest = bytes[...]
        while !rest.isEmpty {
            forger.data(Array(rest.prefix(65_536)))
            rest = rest.dropFirst(65_536)
        }
        forger.fin(total: UInt64(count))
        forger.send(.closed)
        // Closing with unread bytes is a reset; what was sent before it has arrived all the same.
        if !byReset { #expect(forger.received().map(\.type) == [.open, .fin]) }
        forger.link.close()
        let (received, then) = ending(forger.bench, application)
        #expect(received == bytes && then == .ended)
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.endedInOrder)
        #expect(forger.bench.shard.regions.lent == 0)
    }

    @Test("A server that drains ends in order, though the application behind it rests for minutes before it reads")
    func drainBehindSlowReader() throws {
        let tunnel = try Tunnel(link: .tcp, settings: CommonSettings(heartbeat: .seconds(10), deadAfter: .seconds(30)))
        let stream = try tunnel.open()
        stream.application.shutdownWrite()
        var generator = SeededGenerator(seed: 32)
        let bytes = generator.bytes(900_000)
        var sent = 0
        #expect(
            tunnel.turn {
                sent += stream.target.write(bytes[sent...])
                return sent == bytes.count
            })
        stream.target.shutdownWrite()
        // What the server's role asks of a carrier whose stream ends while it drains.
        #expect(tunnel.turn { tunnel.server.phase == .idle })
        tunnel.server.retire()
        for _ in 0..<60 {
            tunnel.bench.pass(.seconds(5))
            tunnel.bench.turn()
        }
        let (received, then) = ending(tunnel.bench, stream.application)
        #expect(received.count == bytes.count)
        #expect(then == .ended)
        #expect(tunnel.bench.shard.counters.brokenStreams == 0)
    }

    @Test("A server's carrier with bytes still to be sent is not free to be dropped")
    func unsentBytesCount() throws {
        var generator = SeededGenerator(seed: 33)
        let piece = generator.bytes(60_000)
        var hits = 0
        for pieces in 1...24 {
            let tunnel = try Tunnel()
            let stream = try tunnel.open()
            stream.application.shutdownWrite()
            tunnel.settle()
            // The application does not read. The last piece and the end come together.
            var sent = 0
            for index in 1...pieces {
                sent += stream.target.write(piece)
                if index == pieces { stream.target.shutdownWrite() }
                tunnel.settle()
            }
            guard tunnel.server.phase == .idle, tunnel.server.outStart < tunnel.server.outEnd else { continue }
            hits += 1
            // As the server's role does when it drains.
            if !tunnel.server.hasStream { tunnel.server.retire() }
            let (received, then) = ending(tunnel.bench, stream.application)
            #expect(received.count == sent && then == .ended)
        }
        #expect(hits > 0)
    }

    @Test("Why a stream was given up is heard, though the link was closed with bytes unread")
    func reasonBeforeReset() throws {
        let forger = try Forger(posingAs: .server, link: .tcp)
        let application = try forger.connectApp()
        application.write([1, 2, 3])
        #expect(forger.bench.turn { forger.carrier.ledger.sent == 3 })
        forger.send(.refused, [CloseReason.targetRefused.rawValue])
        forger.link.close()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(
            forger.owner.brokenBecause == "the other side says: \(CloseReason.targetRefused)",
            "\(String(describing: forger.owner.ending))")
    }
}
