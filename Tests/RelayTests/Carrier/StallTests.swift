import Testing
import Wire

@testable import Relay

@Suite struct StallTests {
    /// Writes into `source` until neither it nor the tunnel takes more; returns how many bytes went.
    private func fill(_ source: TestSocket, _ bytes: [UInt8], through tunnel: Tunnel) -> Int {
        var sent = 0
        while sent < bytes.count {
            let count = source.write(bytes[sent...])
            tunnel.settle()
            #expect(tunnel.lent <= 4)
            if count == 0 { break }
            sent += count
        }
        return sent
    }

    @Test(
        "A receiver that does not read stops the sender, in bounded memory, and loses nothing",
        arguments: [true, false])
    func stalled(_ towardsTarget: Bool) throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open()
        let (source, sink) =
            towardsTarget ? (stream.application, stream.target) : (stream.target, stream.application)
        var generator = SeededGenerator(seed: 11)
        let bytes = generator.bytes(4 << 20)
        var sent = fill(source, bytes, through: tunnel)
        #expect(sent < bytes.count)
        // Only the direction that is stalled holds buffers: one at each end.
        #expect(tunnel.lent == 2)

        // The other direction goes on as if nothing were wrong.
        sink.write([1, 2, 3])
        tunnel.settle()
        #expect(source.read() == .bytes([1, 2, 3]))
        #expect(tunnel.lent == 2)

        var received: [UInt8] = []
        _ = tunnel.turn {
            if sent < bytes.count { sent += source.write(bytes[sent...]) }
            received += sink.readAll().bytes
            return received.count >= bytes.count
        }
        #expect(received == bytes)
        tunnel.settle()
        #expect(tunnel.lent == 0)
    }

    @Test("Both directions stalled at once hold two buffers at each end, and both go on")
    func bothStalled() throws {
        let tunnel = try Tunnel()
        let stream = try tunnel.open()
        var generator = SeededGenerator(seed: 12)
        let bytes = generator.bytes(4 << 20)
        let sentThere = fill(stream.application, bytes, through: tunnel)
        let sentBack = fill(stream.target, bytes, through: tunnel)
        #expect(sentThere < bytes.count && sentBack < bytes.count)
        #expect(tunnel.lent == 4)
        var (there, back): ([UInt8], [UInt8]) = ([], [])
        _ = tunnel.turn {
            there += stream.target.readAll().bytes
            back += stream.application.readAll().bytes
            return there.count >= sentThere && back.count >= sentBack
        }
        #expect(there == Array(bytes[..<sentThere]) && back == Array(bytes[..<sentBack]))
        tunnel.settle()
        #expect(tunnel.lent == 0)
    }

    @Test("Bytes for a target that is not connected yet wait in bounded memory")
    func dialing() throws {
        let tunnel = try Tunnel()
        var generator = SeededGenerator(seed: 13)
        let bytes = generator.bytes(4 << 20)
        let application = tunnel.ask()
        let sent = fill(application, bytes, through: tunnel)
        #expect(sent > 0 && sent < bytes.count)
        #expect(tunnel.lent <= 2)
        let target = try tunnel.connectTarget()
        var received: [UInt8] = []
        _ = tunnel.turn {
            received += target.readAll().bytes
            return received.count >= sent
        }
        #expect(received == Array(bytes[..<sent]))
    }

    @Test("Many small frames that wait are joined, and arrive in order")
    func smallFrames() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.open()
        let target = try forger.connectApp()
        var generator = SeededGenerator(seed: 14)
        var expected: [UInt8] = []
        forger.hold()
        for index in 0..<300 {
            let bytes = generator.bytes([1, 3, 17, 2048, 2049][index % 5])
            expected += bytes
            forger.data(bytes)
            if index % 50 == 49 {
                forger.release()
                forger.settle()
                forger.hold()
            }
        }
        forger.release()
        var received: [UInt8] = []
        _ = forger.bench.turn {
            received += target.readAll().bytes
            return received.count >= expected.count
        }
        #expect(received == expected)
        #expect(forger.bench.shard.regions.lent == 0)
    }
}
