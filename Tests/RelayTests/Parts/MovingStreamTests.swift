import CLinux
import Testing
import Wire

@testable import Relay

@Suite struct MovingStreamTests {
    private let bench: Bench
    private let progress = StreamProgress(total: 7, hasEnded: false)

    init() throws { bench = try Bench() }

    private func moving(_ endpoint: Endpoint, _ bytes: [UInt8] = []) -> MovingStream {
        var backlog = Backlog()
        if !bytes.isEmpty { #expect(bytes.withUnsafeBytes { backlog.append($0.baseAddress!, $0.count) }) }
        let stream = MovingStream(
            endpoint.detach(resetting: true), of: bench.conversation, number: 5, service: ServiceID("echo")!,
            ledger: StreamLedger(
                sent: progress, received: StreamProgress(total: 9, hasEnded: true), isEndPassedOn: false),
            backlog: &backlog)
        let isGivenAway = backlog.isEmpty
        #expect(isGivenAway)
        return stream
    }

    @Test("A stream that nobody takes resets its application's connection")
    func dropped() {
        let (endpoint, app) = bench.accepted(.tcp)
        do { _ = moving(endpoint) }
        #expect(bench.turn { app.read() == .broken(TestSocket.connectionReset) })
    }

    @Test("Who takes it over has the socket, the counts and the bytes that wait")
    func adopted() throws {
        let (endpoint, app) = bench.accepted(.tcp)
        let fd = endpoint.fd
        let stream = moving(endpoint, [1, 2, 3])
        #expect(endpoint.fd == -1)
        let other = try Bench()
        let adopted = try #require(stream.adopt(on: other.shard.poller))
        #expect(adopted.isOpen && adopted.resetsByDefault && adopted.fd == fd)
        #expect(stream.adopt(on: bench.shard.poller) == nil)
        let waiting = try #require(stream.waiting)
        #expect(UnsafeRawBufferPointer(start: waiting.iov_base, count: waiting.iov_len).elementsEqual([1, 2, 3]))
        #expect(stream.ledger.progress == progress && stream.ledger.received == 9 && stream.ledger.hasFin)
        app.write([5])
        #expect(other.turn { adopted.readable && adopted.writable })
        var byte: UInt8 = 0
        _ = adopted.read(&byte, 1)
        #expect(byte == 5)
        adopted.close()
        #expect(bench.turn { app.read() == .ended })
    }

    @Test("A socket that was taken over is not closed when the stream goes")
    func adoptedThenDropped() throws {
        let (endpoint, app) = bench.accepted(.tcp)
        var stream: MovingStream? = moving(endpoint)
        #expect(stream?.waiting == nil)
        let adopted = try #require(stream?.adopt(on: bench.shard.poller))
        stream = nil
        _ = adopted.send([8], 1)
        #expect(bench.turn { app.read() == .bytes([8]) })
        adopted.close()
    }

    @Test("An endpoint that is detached hears no more events, and its descriptor stays open")
    func detached() throws {
        let before = bench.shard.poller.endpoints
        let (endpoint, app) = bench.connection()
        final class Listening: Driver {
            var calls = 0
            func advance() { calls += 1 }
        }
        let driver = Listening()
        endpoint.driver = driver
        bench.settle()
        #expect(driver.calls > 0 && bench.shard.poller.endpoints == before + 1)
        let calls = driver.calls
        let detached = endpoint.detach(resetting: false)
        #expect(!endpoint.isOpen && endpoint.driver == nil && bench.shard.poller.endpoints == before)
        #expect(endpoint.fd == -1, "the number may be somebody else's by now")
        app.write([1, 2])
        bench.settle()
        #expect(driver.calls == calls)
        let other = try Bench()
        let taken = detached.adopt(on: other.shard.poller)
        let adopted = try #require(taken)
        var bytes: [UInt8] = [0, 0]
        guard case .moved(2) = adopted.read(&bytes, 2) else {
            Issue.record("nothing to read")
            return
        }
        #expect(bytes == [1, 2])
        // Closing what is not there any more touches nobody.
        endpoint.close()
        endpoint.reset()
        #expect(app.read() == .nothingYet)
    }
}
