import Testing

@testable import Relay

@Suite struct EndingTests {
    let tunnel: Tunnel
    let stream: Tunnel.Stream

    init() throws {
        tunnel = try Tunnel()
        stream = try tunnel.open()
    }

    @Test("The application ends first: the target sees it, may go on sending, and ends the stream")
    func applicationFirst() {
        stream.application.write([1, 2, 3])
        stream.application.shutdownWrite()
        tunnel.settle()
        #expect(stream.target.readAll() == ([1, 2, 3], .ended))
        #expect(tunnel.client.phase == .streaming && tunnel.server.phase == .streaming)

        stream.target.write([4, 5])
        tunnel.settle()
        #expect(stream.application.readAll() == ([4, 5], .nothingYet))
        stream.target.write([6])
        stream.target.shutdownWrite()
        tunnel.settle()
        #expect(stream.application.readAll() == ([6], .ended))
        #expect(tunnel.isIdle)
    }

    @Test("The target ends first: the application sees it, may go on sending, and ends the stream")
    func targetFirst() {
        stream.target.write([1, 2, 3])
        stream.target.shutdownWrite()
        tunnel.settle()
        #expect(stream.application.readAll() == ([1, 2, 3], .ended))
        #expect(tunnel.client.phase == .streaming && tunnel.server.phase == .streaming)

        stream.application.write([4, 5])
        tunnel.settle()
        #expect(stream.target.readAll() == ([4, 5], .nothingYet))
        stream.application.shutdownWrite()
        tunnel.settle()
        #expect(stream.target.readAll() == ([], .ended))
        #expect(tunnel.isIdle)
    }

    @Test("Both end at once")
    func bothAtOnce() {
        stream.target.write([1])
        stream.application.write([2])
        stream.target.shutdownWrite()
        stream.application.shutdownWrite()
        tunnel.settle()
        #expect(stream.application.readAll() == ([1], .ended))
        #expect(stream.target.readAll() == ([2], .ended))
        #expect(tunnel.isIdle)
    }

    @Test(
        "Last bytes and end that are there together leave together, and nothing is held afterwards",
        arguments: [1, 70_000])
    func dataAndEnd(_ count: Int) {
        var generator = SeededGenerator(seed: 5)
        let bytes = generator.bytes(count)
        #expect(stream.application.write(bytes) == count)
        stream.application.shutdownWrite()
        let framesBefore = tunnel.bench.shard.counters.framesOut
        tunnel.bench.turn()
        #expect(tunnel.bench.shard.counters.framesOut - framesBefore == UInt64((count + 65_535) / 65_536 + 1))
        tunnel.settle()
        #expect(stream.target.readAll() == (bytes, .ended))
        #expect(tunnel.lent == 0)
    }

    @Test("An end without a byte is passed on")
    func emptyStream() {
        stream.application.shutdownWrite()
        tunnel.settle()
        #expect(stream.target.read() == .ended)
        stream.target.shutdownWrite()
        tunnel.settle()
        #expect(stream.application.read() == .ended)
        #expect(tunnel.isIdle)
    }

    @Test("The server says CLOSED only when both directions have ended, and the client is not idle before")
    func closed() {
        // An application that has the whole answer and has sent everything: only CLOSED is missing.
        stream.target.shutdownWrite()
        tunnel.settle()
        #expect(tunnel.clientOwner.timesIdle == 0 && tunnel.serverOwner.timesIdle == 0)

        // The target does not read, so the server cannot deliver the application's end.
        var generator = SeededGenerator(seed: 6)
        let bytes = generator.bytes(3_000_000)
        var sent = 0
        while sent < bytes.count {
            let count = stream.application.write(bytes[sent...])
            sent += count
            tunnel.settle()
            if count == 0 { break }
        }
        #expect(sent < bytes.count)
        #expect(tunnel.clientOwner.timesIdle == 0)

        // It begins to read; the client has sent FIN long before the target has everything.
        var received: [UInt8] = []
        while received.count < bytes.count {
            if sent < bytes.count {
                sent += stream.application.write(bytes[sent...])
                if sent == bytes.count { stream.application.shutdownWrite() }
            }
            let (more, then) = stream.target.readAll()
            received += more
            if received.count < bytes.count { #expect(then == .nothingYet && tunnel.serverOwner.timesIdle == 0) }
            if tunnel.serverOwner.timesIdle == 0 { #expect(tunnel.client.phase != .idle) }
            tunnel.bench.turn()
        }
        tunnel.settle()
        #expect(received == bytes)
        #expect(tunnel.clientOwner.timesIdle == 1 && tunnel.serverOwner.timesIdle == 1)
        #expect(tunnel.isIdle)
    }

    @Test("An application that closes both ways at once hears no more, and the target still gets everything")
    func fullClose() {
        stream.application.write([1, 2, 3])
        stream.application.close()
        tunnel.settle()
        #expect(stream.target.readAll() == ([1, 2, 3], .ended))
        stream.target.close()
        tunnel.settle()
        #expect(tunnel.isIdle)
        #expect(tunnel.bench.shard.counters.brokenStreams == 0)
    }
}
