import CLinux
import Glibc
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct EndpointTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    private func keepsAlive(_ endpoint: Endpoint) -> Bool {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(endpoint.fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size)
        return value != 0
    }

    private func option(_ fd: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(fd, level, name, &value, &size)
        return value
    }

    @Test("A host that has vanished is looked for after minutes, not hours, on what is accepted and what is dialled")
    func keepAliveNumbers() throws {
        let listener = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let address = try #require(listener.address)
        let target = try #require(SocketAddress(literal: address))
        let caller = Caller()
        Dial([target], on: bench.shard, for: caller).start(limit: 5_000_000_000)
        try #require(bench.turn { caller.endpoint != nil })
        let dialled = try #require(caller.endpoint)
        dialled.tuneNow()
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let accepted = ow_accept(listener.fd, &from, &length)
        defer { close(accepted) }
        let tcp = Int32(IPPROTO_TCP)
        for fd in [dialled.fd, accepted] {
            #expect(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1)
            #expect(option(fd, tcp, TCP_KEEPIDLE) == 120 && option(fd, tcp, TCP_KEEPINTVL) == 30)
            #expect(option(fd, tcp, TCP_KEEPCNT) == 4)
            #expect(option(fd, SOL_SOCKET, SO_OOBINLINE) == 1)
        }
        dialled.close()
    }

    private final class Caller: Dialler {
        var endpoint: Endpoint?
        func dialled(_ result: DialResult) { if case .connected(let endpoint) = result { self.endpoint = endpoint } }
    }

    @Test("Bytes after an urgent one are read without a further event, and it has its place among them")
    func urgent() {
        for hasSeenMark in [false, true] {
            let (endpoint, peer) = bench.connection(.tcp)
            keepUrgentDataInline(endpoint.fd)
            peer.write([1, 2, 3])
            if hasSeenMark { #expect(bench.turn { endpoint.readable }) }
            #expect(send(peer.fd, [4 as UInt8], 1, Int32(MSG_OOB) | Int32(MSG_NOSIGNAL)) == 1)
            peer.write([5, 6])
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 100)
            #expect(
                bench.turn {
                    while endpoint.readable, case .moved(let count) = endpoint.read(&buffer, buffer.count) {
                        received += buffer[..<count]
                    }
                    return received.count == 6
                })
            #expect(received == [1, 2, 3, 4, 5, 6])
            #expect(!endpoint.readable && !endpoint.hasMark)
            endpoint.close()
        }
    }

    @Test("Options that were put off are set before the second send, not before the first")
    func secondSend() {
        let (endpoint, _) = bench.connection(.tcp)
        endpoint.sendsBeforeTuning = 2
        _ = endpoint.send("a", 1)
        #expect(!keepsAlive(endpoint))
        _ = endpoint.send("b", 1)
        #expect(keepsAlive(endpoint))
        endpoint.close()
    }

    @Test("A target that is spoken to once has its options at the next heartbeat")
    func heartbeat() throws {
        let forger = try Forger(posingAs: .client, phase: .idle)
        forger.open()
        let (endpoint, target) = forger.bench.connection(.tcp)
        endpoint.sendsBeforeTuning = 2
        try #require(forger.bench.turn { forger.carrier.phase == .dialing })
        forger.carrier.connected(endpoint)
        forger.data([1, 2, 3])
        var received: [UInt8] = []
        #expect(
            forger.bench.turn {
                received += target.readAll().bytes
                return received == [1, 2, 3]
            })
        #expect(!keepsAlive(endpoint))
        forger.bench.pass(.seconds(11))
        #expect(keepsAlive(endpoint))
    }

    @Test("What is backed up is read a frame first and then four at a time, and small reads come back to one")
    func bulk() throws {
        let forger = try Forger(posingAs: .server)
        let app = try forger.connectApp()
        #expect(app.write([UInt8](repeating: 7, count: 150_000)) == 150_000)
        var sizes: [Int] = []
        func drain() { sizes += forger.received().filter { $0.type == .data }.map(\.plaintext.count) }
        #expect(
            forger.bench.turn {
                drain()
                return sizes.reduce(0, +) == 150_000
            })
        #expect(sizes == [65_536, 65_536, 18_928])
        app.write([1])
        #expect(
            forger.bench.turn {
                drain()
                return sizes.last == 1
            })
        #expect(forger.carrier.app?.isBulk == false)
    }
}
