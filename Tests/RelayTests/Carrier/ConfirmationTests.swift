import Testing
import Wire

@testable import Relay

@Suite struct ConfirmationTests {
    @Test("A resumed carrier is the server's to use once CONFIRM has come, and nothing comes back")
    func resumed() throws {
        let forger = try Forger(posingAs: .client)
        forger.settle()
        #expect(forger.carrier.phase == .confirming && forger.owner.calls.isEmpty)
        forger.send(.confirm)
        forger.settle()
        #expect(forger.carrier.phase == .idle && forger.owner.calls == [.confirmed])
        #expect(forger.received().isEmpty)
    }

    @Test("A pairing's carrier is confirmed in both directions before it is idle at the client")
    func paired() throws {
        let bench = try Bench()
        let (clientOwner, serverOwner) = (RecordingOwner(), RecordingOwner())
        serverOwner.confirmsBack = true
        let (clientEnd, serverEnd) = TestSocket.descriptors(.unix)
        let keys = crossedKeys()
        let client = bench.carrier(
            .client, link: clientEnd, keys: keys.client(), phase: .confirming, owner: clientOwner)
        let server = bench.carrier(
            .server, link: serverEnd, keys: keys.server(), phase: .confirming, owner: serverOwner)
        client.due.insert(.confirm)
        client.advance()
        #expect(client.phase == .confirming)
        for _ in 0..<4 { bench.turn() }
        #expect(clientOwner.calls == [.confirmed] && serverOwner.calls == [.confirmed])
        #expect(client.phase == .idle && server.phase == .idle)
        #expect(bench.shard.regions.lent == 0)
        withExtendedLifetime((clientOwner, serverOwner)) { bench.endAll() }
    }

    @Test("CONFIRM and the first OPEN with its bytes may come in one read")
    func confirmAndOpen() throws {
        let forger = try Forger(posingAs: .client)
        forger.hold()
        forger.send(.confirm)
        forger.open()
        forger.data([7])
        forger.release()
        let target = try forger.connectApp()
        forger.settle()
        #expect(target.readAll() == ([7], .nothingYet))
    }

    @Test(
        "A server's carrier takes no frame but CONFIRM as its first",
        arguments: FrameType.allCases.filter { $0 != .confirm })
    func serverFirstFrame(_ type: FrameType) throws {
        let forger = try Forger(posingAs: .client)
        forger.send(type, Forger.plaintext(for: type))
        forger.settle()
        #expect(forger.owner.calls == [.closed])
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
        #expect(forger.link.readAll().bytes.isEmpty)
    }

    @Test(
        "A client that waits for CONFIRMED takes no other frame as the first",
        arguments: FrameType.allCases.filter { $0 != .confirmed })
    func clientFirstFrame(_ type: FrameType) throws {
        let forger = try Forger(posingAs: .server, phase: .confirming)
        forger.send(type, Forger.plaintext(for: type))
        forger.settle()
        #expect(forger.owner.calls == [.closed])
        #expect(forger.owner.lostBecause?.hasPrefix("protocol: ") == true)
    }
}
