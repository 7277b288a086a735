import Glibc
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
