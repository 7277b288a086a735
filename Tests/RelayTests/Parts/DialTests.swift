import Glibc
import Settings
import Testing

@testable import Relay

/// Dialling on a shard whose clock the test moves. Every test has addresses of its own: what worked is remembered for
/// the whole process.
@Suite struct DialTests {
    private let bench: Bench
    private let caller = Caller()

    init() throws { bench = try Bench() }

    private final class Caller: Dialler {
        var result: DialResult?
        var calls = 0
        func dialled(_ result: DialResult) {
            self.result = result
            calls += 1
        }
        var error: Int32? { if case .failed(let error) = result { error } else { nil } }
        var isTimedOut: Bool { if case .timedOut = result { true } else { false } }
        var port: UInt16? {
            guard case .connected(let endpoint) = result else { return nil }
            return SocketAddress(of: endpoint.fd, getpeername)?.port
        }
    }

    /// A port of this host with somebody who listens (`isFull`: whose backlog is full, so that nobody gets through)
    /// or nobody.
    private final class Place {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        private var callers: [Int32] = []
        let address: SocketAddress

        init(listens: Bool, isFull: Bool = false) throws {
            let fd = fd
            let any = try #require(SocketAddress(literal: .tcp(host: "127.0.0.1", port: 0)))
            let isBound = any.withPointer { bind(fd, $0, $1) } == 0
            address = try #require(SocketAddress(of: fd, getsockname))
            try #require(isBound)
            guard listens else { return }
            try #require(listen(fd, isFull ? 0 : 16) == 0)
            guard isFull else { return }
            for _ in 0..<8 {
                let caller = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
                _ = address.withPointer { connect(caller, $0, $1) }
                callers.append(caller)
            }
        }

        deinit { for each in callers + [fd] { close(each) } }
    }

    private func dial(_ places: Place..., limit: Duration = .seconds(5)) -> Dial {
        let dial = Dial(places.map(\.address), on: bench.shard, for: caller)
        dial.start(limit: limit.nanoseconds)
        return dial
    }

    @Test("An address whose packets vanish has the field to itself for 250 ms, then the next one is tried beside it")
    func deadFirst() throws {
        let (dead, alive) = (try Place(listens: true, isFull: true), try Place(listens: true))
        _ = dial(dead, alive)
        bench.pass(.milliseconds(249))
        for _ in 0..<20 { bench.turn() }
        #expect(caller.calls == 0)
        bench.pass(.milliseconds(2))
        #expect(bench.turn { caller.calls == 1 })
        #expect(caller.port == alive.address.port)
        // Nothing is left behind: the attempt that lost is closed.
        #expect(bench.shard.poller.endpoints == 1)
    }

    @Test("What worked last is tried first the next time, for ten minutes")
    func memory() throws {
        let (dead, alive) = (try Place(listens: true, isFull: true), try Place(listens: true))
        _ = dial(dead, alive)
        bench.pass(.milliseconds(251))
        #expect(bench.turn { caller.calls == 1 })
        _ = dial(dead, alive)
        #expect(bench.turn { caller.calls == 2 })
        #expect(caller.port == alive.address.port)
        bench.pass(.seconds(601))
        _ = dial(dead, alive)
        for _ in 0..<20 { bench.turn() }
        #expect(caller.calls == 2)
        bench.pass(.milliseconds(251))
        #expect(bench.turn { caller.calls == 3 })
    }

    @Test("After a refusal the next address is tried at once")
    func refusedFirst() throws {
        let (closed, alive) = (try Place(listens: false), try Place(listens: true))
        let dial = dial(closed, alive)
        #expect(caller.calls == 0)
        #expect(bench.turn { caller.calls == 1 })
        #expect(caller.port == alive.address.port)
        #expect(dial.account == "\(closed.address.text): Connection refused")
    }

    @Test("The first attempt goes on while others are tried, and may still be the one that connects")
    func lateFirst() throws {
        let (slow, dead) = (try Place(listens: true, isFull: true), try Place(listens: true, isFull: true))
        _ = dial(slow, dead)
        bench.pass(.milliseconds(251))
        while accept4(slow.fd) { continue }
        // The kernel repeats its SYN after a second.
        #expect(
            bench.turn {
                _ = accept4(slow.fd)
                return caller.calls == 1
            })
        #expect(caller.port == slow.address.port)
    }

    private func accept4(_ fd: Int32) -> Bool {
        var ready = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, 0) == 1 else { return false }
        close(accept(fd, nil, nil))
        return true
    }

    @Test("When all refuse it is a refusal, told after start and once")
    func allRefuse() throws {
        let closed = [try Place(listens: false), try Place(listens: false)]
        let dial = dial(closed[0], closed[1])
        #expect(caller.calls == 0)
        #expect(bench.turn { caller.calls == 1 })
        #expect(caller.error == ECONNREFUSED && dial.failures.count == 2)
        #expect(dial.addresses == closed.map(\.address))
        bench.pass(.seconds(10))
        #expect(caller.calls == 1 && bench.shard.poller.endpoints == 0)
    }

    @Test("One deadline holds for all addresses together")
    func deadline() throws {
        let dead = [try Place(listens: true, isFull: true), try Place(listens: true, isFull: true)]
        _ = dial(dead[0], dead[1], limit: .milliseconds(400))
        for _ in 0..<3 { bench.pass(.milliseconds(130)) }
        #expect(caller.calls == 0)
        bench.pass(.milliseconds(20))
        #expect(caller.isTimedOut && bench.shard.poller.endpoints == 0)
    }

    @Test("Every address has its turn within the limit, however short that is")
    func shortLimit() throws {
        let (dead, alive) = (try Place(listens: true, isFull: true), try Place(listens: true))
        _ = dial(dead, alive, limit: .milliseconds(90))
        bench.pass(.milliseconds(31))
        #expect(bench.turn { caller.calls == 1 })
        #expect(caller.port == alive.address.port)
    }

    @Test("A cancelled dialling says nothing and leaves nothing")
    func cancelled() throws {
        let places = [try Place(listens: true), try Place(listens: true)]
        let dial = dial(places[0], places[1])
        dial.cancel()
        bench.pass(.seconds(10))
        #expect(caller.calls == 0 && bench.shard.poller.endpoints == 0)
    }

    @Test("Families take turns in the resolver's order")
    func order() throws {
        func address(_ host: String) throws -> SocketAddress {
            try #require(SocketAddress(literal: .tcp(host: host, port: 9)))
        }
        let given = try ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"].map(address)
        let ordered = AddressMemory.order(given, at: 0).map(\.text)
        #expect(
            ordered == [
                "[2001:db8::1]:9", "192.0.2.1:9", "[2001:db8::2]:9", "192.0.2.2:9", "[2001:db8::3]:9",
            ])
    }

    @Test(
        "Where nobody listens, a port that the kernel gives to the caller itself is a refusal",
        .enabled(if: geteuid() == 0))
    func toItself() async throws {
        try await inOwnNetwork { try Self.dialUntilItself() }
    }

    /// With 200 ports for callers the kernel soon takes the very one that is called.
    private static func dialUntilItself() throws {
        try writeFile("/proc/sys/net/ipv4/ip_local_port_range", "40000 40199")
        let target = try #require(SocketAddress(literal: .tcp(host: "127.0.0.1", port: 40_100)))
        let bench = try Bench()
        let caller = Caller()
        for round in 1...1000 {
            Dial([target], on: bench.shard, for: caller).start(limit: 1_000_000_000)
            try #require(bench.turn { caller.calls == round })
            try #require(caller.error == ECONNREFUSED, "round \(round)")
        }
        // Nothing keeps the port from the service.
        let service = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(service) }
        #expect(target.withPointer { bind(service, $0, $1) } == 0)
    }
}
