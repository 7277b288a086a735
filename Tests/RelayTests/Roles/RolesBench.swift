// Clients and a server as they run, but for their threads: the real roles, each on a light and a heavy loop, turned by
// the test one after the other, with real connections between them and a service that only takes them.
import CLinux
import Glibc
import Pairing
import Settings
import Testing
import Wire

@testable import Relay
@testable import Vault

/// A server and some devices.
final class RolesBench {
    /// The two loops of one daemon.
    final class Daemon<R: Relay.Role> {
        let loops: Loops<R>
        let shards: [Shard]
        var roles: [R] = []
        private let diary = Diary()
        /// What was told of it so far.
        var events: [RelayEvent] { diary.events }
        /// The same in words.
        var lines: [String] { events.map(\.description) }
        func forgetEvents() { diary.events = [] }

        /// Unchecked: the test's thread alone turns the loops, and they alone tell.
        private final class Diary: @unchecked Sendable { var events: [RelayEvent] = [] }

        init(clock: FakeClock, timeAsleep: @escaping () -> Nanoseconds = { 0 }) throws {
            let mailboxes = [try Mailbox(), try Mailbox()]
            let loops = Loops<R>(light: [mailboxes[0]], heavy: [mailboxes[1]])
            self.loops = loops
            shards = try mailboxes.enumerated().map { [diary] index, mailbox in
                try Shard(
                    index: index, kind: loops.kind(of: index), mailbox: mailbox, clock: { clock.now },
                    sinceBoot: { clock.now + timeAsleep() }, emit: { diary.events.append($0) })
            }
        }

        func serve(_ make: (Shard) -> R) {
            roles = shards.map(make)
            for (shard, role) in zip(shards, roles) { shard.begin(role) }
        }

        var counters: Counters { shards.reduce(into: Counters()) { $0 += $1.counters } }
    }

    let clock = FakeClock()
    /// How long the devices have slept.
    let night = Night()
    final class Night { var slept: Nanoseconds = 0 }
    /// How long the server has slept.
    let serversNight: Night
    let server: Daemon<ServerRole>
    let clients: [Daemon<ClientRole>]
    /// The server's name, and the devices'.
    let identity: Identity
    let names: [Identity]
    private let door: ListeningSocket
    private let targets: ListeningSocket
    private let entries: [ListeningSocket]
    static let service = ServiceID("echo")!

    /// `strangers` are configured at the server too, and have no daemon.
    init(
        devices: Int = 1, strangers: Int = 0, carrier: CarrierChoice = .shared, vault capacity: Int = 100,
        connections: Int = 100_000, clientConnections: Int = 100_000,
        deviceLimits: DeviceLimits = DeviceLimits(), admission: AdmissionSettings? = nil, mayUseService: Bool = true,
        lifetimes: Lifetimes = Lifetimes(), pool: PoolSettings = PoolSettings(),
        waiting: WaitingSettings = WaitingSettings(), isServerUp: Bool = true
    ) throws {
        targets = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let identity = Identity.generate()
        let names = (0..<(devices + strangers)).map { _ in Identity.generate() }
        self.identity = identity
        self.names = names
        let door = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        self.door = door
        let (doorAddress, targetAddress) = (try #require(door.address), try #require(targets.address))
        let common = CommonSettings(heartbeat: .seconds(10), deadAfter: .seconds(30))
        var serverCommon = common
        serverCommon.maxConnections = connections
        var settings = ServerSettings(
            listen: [doorAddress], identity: identity,
            services: [Self.service: ServerService(target: targetAddress)],
            devices: names.enumerated().map {
                Device(name: "device-\($0)", key: $1.publicKey, services: mayUseService ? [Self.service] : [])
            }, common: serverCommon, admission: admission ?? AdmissionSettings(pairRate: 1000, pairBurst: 1000),
            deviceLimits: deviceLimits)
        settings.conversation = lifetimes
        let shared = ServerShared(settings, vault: MemoryVault(capacity: capacity))
        let serversNight = Night()
        self.serversNight = serversNight
        let server = try Daemon<ServerRole>(clock: clock, timeAsleep: { serversNight.slept })
        self.server = server
        server.serve { shard in
            ServerRole(shared, sockets: shard.kind == .heavy ? [] : [door], shard: shard, loops: server.loops)
        }
        var clientCommon = common
        clientCommon.maxConnections = clientConnections
        var entries: [ListeningSocket] = []
        var clients: [Daemon<ClientRole>] = []
        for name in names.prefix(devices) {
            let entry = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0), resetting: true)
            entries.append(entry)
            let settings = ClientSettings(
                server: doorAddress, serverKey: identity.publicKey, identity: name,
                services: [Self.service: ClientService(listen: [try #require(entry.address)], carrier: carrier)],
                pool: pool, waiting: waiting, common: clientCommon)
            let shared = ClientShared(settings, loops: 2)
            let client = try Daemon<ClientRole>(clock: clock, timeAsleep: { [night] in night.slept })
            clients.append(client)
            client.serve { shard in
                ClientRole(
                    shared, sockets: shard.kind == .heavy ? [] : [(Self.service, entry)], shard: shard,
                    loops: client.loops)
            }
        }
        self.entries = entries
        self.clients = clients
        // Nobody turns a server that is not up.
        guard isServerUp else { return }
        try #require(turn { clients.allSatisfy { $0.roles[0].shared.conversation != nil } })
    }

    deinit {
        for shard in shards { shard.drain(limit: 0) }
        for _ in 0..<50 {
            clock.advance(by: .seconds(1))
            turn()
        }
        for shard in shards { shard.forgetRole() }
    }

    private var shards: [Shard] { server.shards + clients.flatMap(\.shards) }

    // MARK: Streams

    /// An application of device `device` and the target that answers it.
    func open(_ device: Int = 0) throws -> Tunnel.Stream {
        let application = try connect(to: entries[device])
        var accepted: Int32 = -1
        try #require(
            turn {
                var from = sockaddr_storage()
                var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                accepted = ow_accept(targets.fd, &from, &length)
                return accepted >= 0
            })
        return Tunnel.Stream(application: application, target: TestSocket(accepted))
    }

    /// An application of device `device` that connects; what becomes of it is the test's affair.
    func ask(_ device: Int = 0) throws -> TestSocket { try connect(to: entries[device]) }

    /// Nobody listens where the service was.
    func stopService() { targets.stop() }

    /// Somebody who calls the server; what becomes of it is the test's affair.
    func call() throws -> TestSocket { try connect(to: door) }

    /// What the device `device` has of the server at the moment.
    func used(_ device: Int = 0) -> (streams: Int, bytes: Int) {
        let roster = server.roles[0].roster
        return roster.budgets[roster.settings.devices[device].key]?.used ?? (-1, -1)
    }

    /// An application of device `device` that has sent `bytes` by the time anybody looks.
    func ask(_ device: Int = 0, sending bytes: [UInt8]) throws -> TestSocket {
        let application = try connect(to: entries[device])
        application.write(bytes)
        return application
    }

    /// The next connection that has come to the service, if there is one.
    func arrival() -> TestSocket? { arrival(at: targets) }

    /// The next connection that has come to the listening socket of another service.
    func arrival(at targets: ListeningSocket) -> TestSocket? {
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let accepted = ow_accept(targets.fd, &from, &length)
        return accepted >= 0 ? TestSocket(accepted) : nil
    }

    private func connect(to entry: ListeningSocket) throws -> TestSocket {
        let bound = try #require(entry.address)
        let address = try #require(SocketAddress(literal: bound))
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        try #require(address.withPointer { Glibc.connect(fd, $0, $1) } == 0)
        _ = fcntl(fd, F_SETFL, O_NONBLOCK)
        return TestSocket(fd)
    }

    // MARK: Going on

    /// One turn of every loop. Time goes on a little, so that what is paced gets its turn.
    func turn() {
        clock.advance(by: .microseconds(200))
        for shard in shards { shard.turn(mayWait: false) }
    }

    /// One turn of the devices' loops alone: the server stands still.
    func turnClients() {
        clock.advance(by: .microseconds(200))
        for shard in clients.flatMap(\.shards) { shard.turn(mayWait: false) }
    }

    /// Lets the clock go on by `duration` in one step, and a few turns see it.
    func pass(_ duration: Duration) {
        clock.advance(by: duration)
        for _ in 0..<10 { turn() }
    }

    func turn(until isDone: () throws -> Bool) rethrows -> Bool {
        let deadline = monotonicNow() + patience
        while try !isDone() {
            guard monotonicNow() < deadline else { return false }
            turn()
        }
        return true
    }

    /// Where a carrier is that must not be there; empty if all is well.
    func contradictions() -> [String] {
        var wrong: [String] = []
        for (index, client) in clients.enumerated() {
            for role in client.roles {
                let (all, idle, shared) = role.register
                let tickets = Set(all.map(\.ticket))
                func check(_ holds: Bool, _ what: String) { if !holds { wrong.append("client \(index): \(what)") } }
                check(Set((idle + shared).map(\.ticket)).count == idle.count + shared.count, "in two lists")
                for carrier in all {
                    check(carrier.phase != .closed && carrier.link.endpoint.fd >= 0, "closed and still known")
                    check(carrier.link.hasKeys, "known and without keys")
                }
                for carrier in idle {
                    check(tickets.contains(carrier.ticket), "idle and unknown")
                    check(carrier.phase == .idle && carrier.app == nil && !carrier.isMisplaced, "idle in the wrong way")
                    check(role.shard.kind != .heavy, "idle on the heavy loop")
                }
                for carrier in shared {
                    check(tickets.contains(carrier.ticket), "shared and unknown")
                    check(carrier.phase == .shared || carrier.phase == .leaving, "shared in the wrong way")
                }
            }
        }
        for role in server.roles {
            let (all, shared) = role.register
            let tickets = Set(all.map(\.ticket))
            for carrier in all where carrier.phase == .closed || !carrier.link.hasKeys || carrier.link.endpoint.fd < 0 {
                wrong.append("server: closed and still known")
            }
            for carrier in shared where !tickets.contains(carrier.ticket) || carrier.phase != .shared {
                wrong.append("server: shared in the wrong way")
            }
        }
        return wrong
    }
}
