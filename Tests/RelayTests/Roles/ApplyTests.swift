// A client and a server daemon in this process, threads and all, whose configurations change while they serve.
import CLinux
import Glibc
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

/// Two daemons and the services behind them.
private final class Pair {
    let server: Daemon
    let client: Daemon
    var serverSettings: ServerSettings
    var clientSettings: ClientSettings
    private let heard: Log

    final class Log: Sendable {
        let lines = Guarded<[String]>([])
        func write(_ event: RelayEvent) { lines.withLock { $0.append("\(event)") } }
    }

    static let local = Address.tcp(host: "127.0.0.1", port: 0)
    static let (first, second) = (ServiceID("first")!, ServiceID("second")!)

    /// `target` is where the service `first` is.
    init(target: Address) throws {
        let (identity, device) = (Identity.generate(), Identity.generate())
        let heard = Log()
        self.heard = heard
        let common = CommonSettings(shards: 1, drain: .zero)
        serverSettings = ServerSettings(
            listen: [Self.local], identity: identity, services: [Self.first: ServerService(target: target)],
            devices: [Device(name: "laptop", key: device.publicKey, services: [Self.first])], common: common)
        server = Daemon(server: serverSettings) { heard.write($0) }
        let door = try #require(try server.start().first).address
        clientSettings = ClientSettings(
            server: door, serverKey: identity.publicKey, identity: device,
            services: [Self.first: ClientService(listen: [Self.local])], common: common)
        client = Daemon(client: clientSettings) { heard.write($0) }
        _ = try client.start()
    }

    deinit {
        for daemon in [client, server] {
            daemon.drain()
            daemon.waitUntilStopped()
        }
    }

    var lines: [String] { heard.lines.withLock { $0 } }

    func changeServer(_ change: (inout ServerSettings) -> Void) throws(ChangeError) -> SettingsChange {
        var new = serverSettings
        change(&new)
        let result = try server.apply(.server(new))
        serverSettings = new
        return result
    }

    func changeClient(_ change: (inout ClientSettings) -> Void) throws(ChangeError) -> SettingsChange {
        var new = clientSettings
        change(&new)
        let result = try client.apply(.client(new))
        clientSettings = new
        return result
    }

    /// An application that connects to `service`.
    func connect(_ service: ServiceID) throws -> TestSocket {
        let address = try #require(client.listening.first { $0.service == service }?.address)
        return try #require(Pair.connection(to: address))
    }

    static func connection(to address: Address) -> TestSocket? {
        guard let target = SocketAddress(literal: address) else { return nil }
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard target.withPointer({ Glibc.connect(fd, $0, $1) }) == 0 else {
            close(fd)
            return nil
        }
        _ = fcntl(fd, F_SETFL, O_NONBLOCK)
        return TestSocket(fd)
    }

    func wait(until isDone: () -> Bool) -> Bool {
        let deadline = monotonicNow() + 20_000_000_000
        while !isDone() {
            guard monotonicNow() < deadline else { return false }
            sched_yield()
        }
        return true
    }

    func arrival(at service: ListeningSocket) -> TestSocket? {
        var accepted: TestSocket?
        _ = wait {
            var from = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let fd = ow_accept(service.fd, &from, &length)
            if fd >= 0 { accepted = TestSocket(fd) }
            return accepted != nil
        }
        return accepted
    }

    func expectTalk(_ application: TestSocket, _ target: TestSocket) {
        application.write([1, 2, 3])
        #expect(wait { target.read() == .bytes([1, 2, 3]) })
        target.write([4])
        #expect(wait { application.read() == .bytes([4]) })
    }

    func isReset(_ socket: TestSocket) -> Bool { wait { socket.read() == .broken(TestSocket.connectionReset) } }
}

@Suite struct ApplyTests {
    private let services: [ListeningSocket]
    private let pair: Pair

    init() throws {
        services = try (0..<2).map { _ in try ListeningSocket.open(Pair.local) }
        pair = try Pair(target: try #require(services[0].address))
    }

    private func address(_ index: Int) throws -> Address { try #require(services[index].address) }

    private func stream(_ service: ServiceID = Pair.first, at index: Int = 0) throws -> (TestSocket, TestSocket) {
        let application = try pair.connect(service)
        return (application, try #require(pair.arrival(at: services[index])))
    }

    @Test("A service that is added on both sides is served at once, and one that is taken out of the client's is not")
    func addedAndRemoved() throws {
        let (application, target) = try stream()
        let second = try address(1)
        let more = try pair.changeServer { settings in
            settings.services[Pair.second] = ServerService(target: second)
            settings.devices[0].services.insert(Pair.second)
        }
        #expect(more.services == .init(added: ["second"]) && more.devices == .init(changed: ["laptop"]))
        _ = try pair.changeClient { $0.services[Pair.second] = ClientService(listen: [Pair.local]) }
        let (other, otherTarget) = try stream(Pair.second, at: 1)
        pair.expectTalk(other, otherTarget)

        let place = try #require(pair.client.listening.first { $0.service == Pair.first }?.address)
        let less = try pair.changeClient { $0.services[Pair.first] = nil }
        #expect(less.services == .init(removed: ["first"]))
        #expect(Pair.connection(to: place) == nil, "nobody listens there any more")
        #expect(pair.client.listening.map(\.service) == [Pair.second])
        pair.expectTalk(application, target)
    }

    @Test("An address goes from one service to another in one change")
    func exchangedAddress() throws {
        let place = try #require(pair.client.listening.first?.address)
        let second = try address(1)
        _ = try pair.changeServer { settings in
            settings.services[Pair.second] = ServerService(target: second)
            settings.devices[0].services.insert(Pair.second)
        }
        _ = try pair.changeClient { settings in
            settings.services[Pair.first]?.listen = [place]
        }
        _ = try pair.changeClient { settings in
            settings.services = [Pair.second: ClientService(listen: [place])]
        }
        #expect(pair.client.listening.map(\.service) == [Pair.second])
        let application = try #require(Pair.connection(to: place))
        let target = try #require(pair.arrival(at: services[1]))
        pair.expectTalk(application, target)
    }

    @Test("New streams go to a new target, old ones live on")
    func target() throws {
        let (application, target) = try stream()
        let second = try address(1)
        let change = try pair.changeServer { $0.services[Pair.first]?.target = second }
        #expect(change.items.map(\.description) == ["services.first.target"] && change.effect == .newConnections)
        let (other, otherTarget) = try stream(at: 1)
        pair.expectTalk(other, otherTarget)
        pair.expectTalk(application, target)
    }

    @Test("A device that is taken out loses its streams and pairs no more")
    func revoked() throws {
        let (application, target) = try stream()
        _ = try pair.changeServer { $0.devices = [] }
        #expect(pair.isReset(application))
        #expect(pair.isReset(target))
        #expect(pair.wait { pair.lines.contains { $0.hasPrefix("unknown device") } })
        #expect(pair.wait { pair.server.counters().carriersOpen == 0 })
        #expect(pair.server.counters().pairings == 1)
        #expect(pair.lines.contains("conversation ended: device laptop was taken out of the configuration"))
    }

    @Test("Limits change while the daemons run")
    func limits() throws {
        _ = try pair.changeServer { $0.deviceLimits.streams = 1 }
        let (application, target) = try stream()
        #expect(pair.isReset(try pair.connect(Pair.first)))
        _ = try pair.changeServer { $0.deviceLimits.streams = 2 }
        let (other, otherTarget) = try stream()
        pair.expectTalk(application, target)
        pair.expectTalk(other, otherTarget)
        // The client keeps as many idle carriers as it is told.
        _ = try pair.changeClient { $0.pool = PoolSettings(floor: 7, cap: 9) }
        #expect(pair.wait { pair.client.counters().carriersIdle >= 7 })
        _ = try pair.changeClient { $0.pool = PoolSettings(floor: 1, cap: 3) }
        #expect(pair.wait { pair.client.counters().carriersIdle <= 3 })
    }

    @Test("A change that needs another start is refused whole, and the error names the keys")
    func refused() throws {
        let second = try address(1)
        let error = #expect(throws: ChangeError.self) {
            _ = try pair.changeServer { settings in
                settings.common.shards = 2
                settings.listen = [.tcp(host: "127.0.0.1", port: 1)]
                settings.devices = []
                settings.services[Pair.first]?.target = second
            }
        }
        #expect(error == .needsRestart(["listen", "shards"]))
        #expect(
            error?.description
                == "listen, shards cannot change while the daemon runs: restart it (nothing was changed)")
        let refused = #expect(throws: ChangeError.self) {
            _ = try pair.changeClient { settings in
                settings.server = Pair.local
                settings.services = [Pair.second: ClientService(listen: [Pair.local])]
            }
        }
        #expect(refused == .needsRestart(["server.address"]))
        // Nothing has changed: neither the device, nor the target, nor the listeners.
        let (application, target) = try stream()
        pair.expectTalk(application, target)
        #expect(throws: ChangeError.otherKind) { try pair.server.apply(.client(pair.clientSettings)) }
    }

    @Test("A daemon that has not been started, or that ends, takes no other settings")
    func notRunning() throws {
        let daemon = Daemon(server: pair.serverSettings) { _ in }
        #expect(throws: ChangeError.notStarted) { try daemon.apply(.server(pair.serverSettings)) }
        pair.client.drain()
        #expect(throws: ChangeError.ending) { try pair.client.apply(.client(pair.clientSettings)) }
    }

    @Test("A listener that cannot be had is told of and tried again, and the change holds otherwise")
    func missingListener() throws {
        let blocker = try ListeningSocket.open(Pair.local)
        let taken = try #require(blocker.address)
        _ = try pair.changeClient { $0.services[Pair.second] = ClientService(listen: [taken]) }
        #expect(pair.lines.contains { $0.contains("cannot listen on \(taken)") })
        let (application, target) = try stream()
        pair.expectTalk(application, target)
        _ = try pair.changeClient { $0.services[Pair.second] = nil }
        #expect(pair.client.listening.map(\.service) == [Pair.first])
    }

    @Test("How long streams may go on at the end is what was said last")
    func drain() throws {
        let change = try pair.changeServer { $0.common.drain = .seconds(1) }
        #expect(change.effect == .nothing && change.items.map(\.description) == ["drain"])
    }
}
