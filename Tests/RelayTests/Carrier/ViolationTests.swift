import Codec
import Testing
import Wire

@testable import Relay

/// What a peer with the right keys may not say. The application is on TCP, so that a reset can be told
/// from an orderly end.
@Suite struct ViolationTests {
    /// Frames in one piece after a stream has been opened.
    struct Offence: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let commit: @Sendable (Forger) -> Void
        init(_ name: String, _ commit: @escaping @Sendable (Forger) -> Void) {
            testDescription = name
            self.commit = commit
        }
    }

    static let byEither = [
        Offence("FIN with too small a total") { $0.fin(total: 2) },
        Offence("FIN with too large a total") { $0.fin(total: 4) },
        Offence("CONFIRM within a stream") { $0.send(.confirm) },
        Offence("CONFIRMED within a stream") { $0.send(.confirmed) },
        Offence("BYE within a stream") { $0.send(.bye) },
        Offence("CLOSED within a stream") { $0.send(.closed) },
        Offence("OPEN within a stream") { $0.open() },
        Offence("REKEY answer without an offer") { $0.rekey(.answer(X25519.PrivateKey().publicKey)) },
        Offence("REKEY done without an answer") { $0.rekey(.done) },
        Offence("REKEY offer of a weak key") { $0.rekey(.offer([UInt8](repeating: 0, count: 32))) },
        Offence("REKEY with an unknown step") { $0.send(.rekey, [4]) },
        Offence("ABORT with an unknown reason") { $0.send(.abort, [99]) },
        Offence("a flipped tag") { $0.put($0.frame(.data, [9]).withLast { $0 ^ 1 }) },
        Offence("a flipped ciphertext bit") { $0.put($0.frame(.data, [9]).with(16) { $0 ^ 0x80 }) },
        Offence("a type changed on the way") { $0.put($0.frame(.ping).with(0) { _ in FrameType.pong.rawValue }) },
        Offence("an unknown type") { $0.put($0.frame(.ping) { $0[0] = 13 }) },
        Offence("flags") { $0.put($0.frame(.ping) { $0[1] = 1 }) },
        Offence("reserved bits") { $0.put($0.frame(.ping) { $0[3] = 1 }) },
        Offence("an empty DATA") { $0.put($0.frame(.data)) },
        Offence("DATA of 65537 bytes") {
            $0.put($0.frame(.data, [1]) { $0.replaceSubrange(4..<8, with: [0, 1, 0, 1]) })
        },
        Offence("a frame left out") {
            _ = $0.frame(.ping)
            $0.send(.ping)
        },
        Offence("a frame twice") {
            let frame = $0.frame(.ping)
            $0.put(frame + frame)
        },
        Offence("a nonce that is not the counter's") { $0.put($0.frame(.ping).with(15) { $0 &+ 1 }) },
    ]

    private func expectRefusal(_ forger: Forger, _ app: TestSocket, delivered: [UInt8]) {
        // Whatever follows an offence is never looked at, though it is authentic.
        forger.data([66, 66, 66])
        forger.release()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true, "\(String(describing: forger.owner.ending))")
        var seen: [UInt8] = []
        var then = TestSocket.Reading.nothingYet
        #expect(
            forger.bench.turn {
                let (more, next) = app.readAll()
                seen += more
                then = next
                return next != .nothingYet
            })
        #expect(seen == delivered || seen.isEmpty)
        #expect(then == .broken(TestSocket.connectionReset))
        #expect(forger.bench.shard.regions.lent == 0)
        #expect(forger.bench.shard.counters.brokenStreams == 1)
    }

    @Test(
        "A client's offence ends the server's carrier, and the target sees a reset",
        arguments: byEither + [
            Offence("REFUSED by a client") { $0.send(.refused, [1]) }
        ])
    func byClient(_ offence: Offence) throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.open()
        let target = try forger.connectApp(.tcp)
        forger.hold()
        forger.data([1, 2, 3])
        offence.commit(forger)
        expectRefusal(forger, target, delivered: [1, 2, 3])
    }

    @Test("A server's offence ends the client's carrier, and the application sees a reset", arguments: byEither)
    func byServer(_ offence: Offence) throws {
        let forger = try Forger(posingAs: .server)
        let application = try forger.connectApp(.tcp)
        forger.hold()
        forger.data([1, 2, 3])
        offence.commit(forger)
        expectRefusal(forger, application, delivered: [1, 2, 3])
    }

    @Test(
        "DATA or FIN after FIN ends the carrier and reaches nobody", arguments: [Side.client, .server],
        [FrameType.data, .fin])
    func afterFin(_ role: Side, _ type: FrameType) throws {
        let forger = try Forger(posingAs: role)
        if role == .client {
            forger.send(.confirm)
            forger.open()
        }
        let app = try forger.connectApp(.tcp)
        forger.hold()
        forger.data([1])
        forger.fin(total: 1)
        forger.send(type, type == .fin ? bigEndian(UInt64(1)) : [2])
        forger.release()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
        var seen: [UInt8] = []
        #expect(
            forger.bench.turn {
                seen += app.readAll().bytes
                return app.read() != .nothingYet
            })
        #expect(seen == [1] || seen.isEmpty)
    }

    @Test(
        "Between streams only OPEN, MOVE, BUNDLE, BYE, PING, PONG and REKEY may come from a client",
        arguments: [FrameType.data, .fin, .closed, .refused, .confirm, .confirmed, .moved, .stays, .leaving])
    func idleServer(_ type: FrameType) throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.send(type, Forger.plaintext(for: type))
        forger.settle()
        #expect(forger.carrier.phase == .closed)
        #expect(forger.owner.calls == [.confirmed, .closed])
        #expect(forger.link.readAll() == ([], .ended))
    }

    @Test(
        "Between streams only PING, PONG, REKEY and LEAVING may come from a server",
        arguments: [
            FrameType.open, .data, .fin, .closed, .refused, .abort, .bye, .confirm, .confirmed, .bundle, .move, .moved,
            .stays,
        ])
    func idleClient(_ type: FrameType) throws {
        let forger = try Forger(posingAs: .server)
        forger.send(type, Forger.plaintext(for: type))
        forger.settle()
        #expect(forger.owner.calls == [.closed])
    }

    @Test("A violation on an idle carrier is reported as one, not as an orderly end")
    func idleViolationIsReported() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.data([1])
        forger.settle()
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true, "\(String(describing: forger.owner.ending))")
    }

    @Test(
        "Stream numbers on one carrier rise and are not 0",
        arguments: [[0], [1, 1], [5, 4], [5, 6, 5], [.max, 1]] as [[UInt64]])
    func numbers(_ numbers: [UInt64]) throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        for number in numbers {
            forger.send(.open, Forger.openPlaintext(number))
            guard number == numbers.last, forger.owner.opened.count == numbers.count - 1 else {
                let target = try forger.connectApp()
                target.shutdownWrite()
                forger.fin(total: 0)
                forger.settle()
                #expect(forger.carrier.phase == .idle && target.read() == .ended)
                continue
            }
            forger.settle()
        }
        #expect(forger.owner.lostBecause == "protocol: OPEN of a number that does not rise")
        #expect(forger.owner.opened.count == numbers.count - 1)
    }

    @Test("A carrier that becomes a shared one goes on counting where its own streams ended")
    func numbersGoOn() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.send(.open, Forger.openPlaintext(7))
        let target = try forger.connectApp()
        target.shutdownWrite()
        forger.fin(total: 0)
        forger.settle()
        try #require(forger.carrier.phase == .idle)
        forger.say(.open(8))
        forger.settle()
        #expect(forger.carrier.phase == .shared && forger.carrier.sharedStreams == 1)
        forger.say(.open(7))
        forger.settle()
        #expect(forger.owner.lostBecause == "protocol: OPEN out of place")
    }

    @Test("LEAVING twice ends the carrier")
    func leavingTwice() throws {
        let forger = try Forger(posingAs: .server)
        let app = try forger.connectApp(.tcp)
        forger.send(.leaving)
        forger.send(.leaving)
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause == "protocol: LEAVING out of place")
        #expect(forger.bench.ending(app).then == .broken(TestSocket.connectionReset))
    }

    @Test("CLOSED twice ends the carrier")
    func closedTwice() throws {
        let forger = try Forger(posingAs: .server)
        let application = try forger.connectApp()
        application.shutdownWrite()
        forger.settle()
        forger.fin(total: 0)
        forger.send(.closed)
        forger.settle()
        #expect(forger.carrier.phase == .idle && application.read() == .ended)
        forger.send(.closed)
        forger.settle()
        #expect(forger.carrier.phase == .closed)
    }

    @Test("CLOSED before the client has sent FIN ends the carrier, though the server has")
    func closedEarly() throws {
        let forger = try Forger(posingAs: .server)
        let application = try forger.connectApp(.tcp)
        forger.hold()
        forger.fin(total: 0)
        forger.send(.closed)
        forger.release()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
        withExtendedLifetime(application) {}
    }

    @Test(
        "What may never follow FIN, right behind the FIN of a complete stream, ends the carrier for good",
        arguments: [
            Offence("CONFIRM") { $0.send(.confirm) }, Offence("DATA") { $0.data([1]) },
            Offence("OPEN") { $0.open() },
            Offence("a forged frame") { $0.put($0.frame(.ping).withLast { $0 ^ 1 }) },
            Offence("no frame at all") { $0.put([UInt8](repeating: 0xFF, count: 16)) },
        ])
    func offenceBehindCompleteStream(_ offence: Offence) throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.open()
        let target = try forger.connectApp()
        target.shutdownWrite()
        forger.settle()
        forger.hold()
        forger.fin(total: 0)
        offence.commit(forger)
        forger.release()
        forger.settle()
        for _ in 0..<100 { forger.bench.pass(.seconds(1)) }
        #expect(forger.carrier.phase == .closed)
        #expect(target.read() != .nothingYet)
    }
}

extension [UInt8] {
    /// The same bytes with the one at `index` changed.
    func with(_ index: Int, _ change: (UInt8) -> UInt8) -> [UInt8] {
        var bytes = self
        bytes[index] = change(bytes[index])
        return bytes
    }

    func withLast(_ change: (UInt8) -> UInt8) -> [UInt8] { with(count - 1, change) }
}
