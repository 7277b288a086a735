// One daemon: binds its listeners, starts its shards, and ends them gracefully. The only class of this
// module that other modules hold.
internal import Glibc
internal import Pairing
package import Settings
internal import Vault
internal import Wire

/// A client or a server daemon. Start it once.
package final class Daemon: Sendable {
    private enum Half: Sendable {
        case server(ServerSettings)
        case client(ClientSettings)
    }
    private struct State {
        var doors: [Door<Shard>] = []
        var running = 0
        var listeners: ListenerSet?
        var final = Counters()
        var isDraining = false
    }
    /// What a daemon that serves is made of, to be changed while it does.
    private struct Running {
        var settings: Half
        var parts: Parts?
    }
    private enum Parts: Sendable {
        case server(ServerShared, Loops<ServerRole>)
        case client(ClientShared, Loops<ClientRole>)
    }

    private let running: Guarded<Running>
    private let events: @Sendable (RelayEvent) -> Void
    private let state = Guarded(State())
    private let over = Latch()
    private let changing = Guarded(())

    /// A server daemon. `events` is called from the shards' threads and must not block.
    package init(server: ServerSettings, events: @escaping @Sendable (RelayEvent) -> Void) {
        running = Guarded(Running(settings: .server(server)))
        self.events = events
    }

    /// A client daemon. `events` is called from the shards' threads and must not block.
    package init(client: ClientSettings, events: @escaping @Sendable (RelayEvent) -> Void) {
        running = Guarded(Running(settings: .client(client)))
        self.events = events
    }

    // MARK: Start

    /// Binds the listeners and starts the shards; when it returns, connections are accepted at those it returns.
    /// The others, which events have told of, are tried again; it throws if there is none, and then nothing is left behind. A client does not wait for its server.
    package func start() throws(RelayError) -> [BoundListener] {
        switch settings {
        case .server(let settings): try startServer(settings)
        case .client(let settings): try startClient(settings)
        }
    }

    private func startServer(_ settings: ServerSettings) throws(RelayError) -> [BoundListener] {
        let listeners = ListenerSet(resetting: false, events: events)
        try listeners.open(settings.listen.map { .init(service: nil, address: $0) })
        let loops: Loops<ServerRole> = try makeLoops(settings.common)
        let shared = ServerShared(settings, vault: MemoryVault(capacity: Self.conversations))
        let opened = listeners.sockets.map(\.socket)
        run(loops) { shard in
            ServerRole(shared, sockets: shard.kind == .heavy ? [] : opened, shard: shard, loops: loops)
        }
        defer { running.withLock { $0.parts = .server(shared, loops) } }
        return keepTrying(listeners)
    }

    /// Conversations a server holds at most: some 400 bytes each, and up to 12 KiB for the streams of a busy one.
    private static let conversations = 100_000

    private func startClient(_ settings: ClientSettings) throws(RelayError) -> [BoundListener] {
        let listeners = ListenerSet(resetting: true, events: events)
        try listeners.open(Self.wanted(settings))
        let loops: Loops<ClientRole> = try makeLoops(settings.common)
        let shared = ClientShared(settings, loops: loops.count)
        let opened = listeners.sockets.compactMap { service, socket in service.map { (service: $0, socket: socket) } }
        run(loops) { shard in
            ClientRole(shared, sockets: shard.kind == .heavy ? [] : opened, shard: shard, loops: loops)
        }
        defer { running.withLock { $0.parts = .client(shared, loops) } }
        return keepTrying(listeners)
    }

    /// Where applications shall find the services, in the order of their names.
    private static func wanted(_ settings: ClientSettings) -> [ListenerSet.Wanted] {
        settings.services.sorted { $0.key.text < $1.key.text }.flatMap { id, service in
            service.listen.map { .init(service: id, address: $0) }
        }
    }

    /// Goes on with the listeners that could not be had; returns the others.
    private func keepTrying(_ listeners: ListenerSet) -> [BoundListener] {
        state.withLock { $0.listeners = listeners }
        listeners.keepTrying()
        return listeners.bound
    }

    private func makeLoops<R>(_ settings: CommonSettings) throws(RelayError) -> Loops<R> {
        let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var light: [Mailbox] = []
        var heavy: [Mailbox] = []
        // The other half is for the applications or services next to the daemon, and for the kernel: on two cores
        // a second shard makes connections and small messages dearer (docs/EXPERIMENTS.md, "Loops, shards and turns").
        for _ in 0..<(settings.shards > 0 ? settings.shards : (cores + 1) / 2) {
            light.append(try Mailbox())
            heavy.append(try Mailbox())
        }
        return Loops(light: light, heavy: heavy)
    }

    /// Starts a thread for each loop and returns when all of them serve.
    private func run<R>(_ loops: Loops<R>, role makeRole: @escaping @Sendable (Shard) -> R) {
        let doors = loops.doors.map { Door<Shard>($0.mailbox) }
        _ = signal(SIGPIPE, SIG_IGN)
        state.withLock { state in
            state.doors = doors
            state.running = doors.count
        }
        let begun = Latch()
        for (index, door) in doors.enumerated() {
            let events = events
            let polls = common.polling == .adaptive
            let kind = loops.kind(of: index)
            startThread("\(kind == .heavy ? "heavy" : "shard")-\(index % loops.pairs)") { [self] in
                ended(Self.serve(index, kind, door, polls: polls, events, makeRole) { begun.open() })
            }
        }
        for _ in doors { begun.wait() }
    }

    private var settings: Half { running.withLock { $0.settings } }

    private var common: CommonSettings {
        switch settings {
        case .server(let settings): settings.common
        case .client(let settings): settings.common
        }
    }

    /// A shard's whole life: when this returns it is gone, with every secret and buffer of its own, so that
    /// the process may end. Returns what it has counted.
    private static func serve<R: Role>(
        _ index: Int, _ kind: LoopKind, _ door: Door<Shard>, polls: Bool,
        _ events: @escaping @Sendable (RelayEvent) -> Void,
        _ makeRole: (Shard) -> R, begun: @escaping @Sendable () -> Void
    ) -> Counters {
        guard let shard = try? Shard(index: index, kind: kind, mailbox: door.mailbox, polls: polls, emit: events)
        else {
            // epoll_create1 or epoll_ctl of two descriptors failed: no daemon can run here.
            fatalError("cannot start an event loop: \(errorText(errno))")
        }
        door.open(to: shard)
        defer { door.close() }
        door.send { _ in begun() }
        shard.run(makeRole(shard))
        return shard.counters
    }

    // MARK: Changes

    /// From now on `new` holds, as far as that goes while the daemon runs; every key says what a change of it needs
    /// (`Effect`). If a key needs another start, nothing at all changes and the error names it. The log's level is not this
    /// module's affair. Blocks until every loop has taken the change, for seconds at most, and while names to listen on are
    /// looked up; may be called from any thread but a loop's.
    @discardableResult
    package func apply(_ new: Loaded) throws(ChangeError) -> SettingsChange {
        // One change at a time. Nobody but another change waits for this lock, so it may be held while loops answer.
        try changing.withLock { _ throws(ChangeError) in
            guard !state.withLock({ $0.isDraining }) else { throw .ending }
            let (old, parts) = running.withLock { ($0.settings, $0.parts) }
            guard let parts else { throw .notStarted }
            switch (old, new, parts) {
            case (.server(let old), .server(let new), .server(let server, let loops)):
                let change = try SettingsChange(from: old, to: new).possible()
                running.withLock { $0.settings = .server(new) }
                if change.reachesLoops { waitForLoops { server.apply(new, to: loops, done: $0) } }
                return change
            case (.client(let old), .client(let new), .client(let client, let loops)):
                let change = try SettingsChange(from: old, to: new).possible()
                running.withLock { $0.settings = .client(new) }
                if change.reachesLoops { apply(new, to: client, loops) }
                return change
            default: throw .otherKind
            }
        }
    }

    private func apply(_ settings: ClientSettings, to client: ClientShared, _ loops: Loops<ClientRole>) {
        let listeners = state.withLock { $0.listeners }
        let wanted = Self.wanted(settings)
        let gone = listeners?.forget(notAmong: wanted) ?? []
        waitForLoops { client.apply(settings, closing: gone, to: loops, done: $0) }
        // Those that no loop had anything of, and those of loops that did not answer in time.
        for socket in gone { socket.stop() }
        let added = listeners?.add(wanted).compactMap { service, socket in
            service.map { (service: $0, socket: socket) }
        }
        if let added, !added.isEmpty { waitForLoops { client.listen(on: added, of: loops, done: $0) } }
    }

    /// Waits until so many loops as `tell` says have called what it gets, but not for a loop that hangs.
    private func waitForLoops(_ tell: (@escaping @Sendable () -> Void) -> Int) {
        let taken = Latch()
        for _ in 0..<tell({ taken.open() }) where !taken.wait(seconds: 2) { break }
    }

    /// Where connections can come now.
    package var listening: [BoundListener] { state.withLock { $0.listeners }?.bound ?? [] }

    // MARK: End

    /// Begins the graceful end: nothing new is accepted, streams may finish until the configured
    /// time-out. May be called from any thread, and more than once.
    package func drain() {
        let limit = common.drain
        state.withLock { state in
            state.isDraining = true
            return state.listeners
        }?.stop()
        for door in state.withLock({ $0.doors }) {
            door.send { $0.drain(limit: limit.nanoseconds) }
        }
    }

    /// Blocks until every shard has ended, which they do once `drain` was called. Only for a daemon that was
    /// started; any number of threads may wait.
    package func waitUntilStopped() {
        over.wait()
        over.open()
    }

    private func ended(_ counters: Counters) {
        let isOver = state.withLock { state in
            state.running -= 1
            state.final += counters
            return state.running == 0
        }
        if isOver { over.open() }
    }

    // MARK: Counters

    /// The sums over all shards, asked of each of them now. Blocks for one turn of the busiest shard; do
    /// not call it from an event handler.
    package func counters() -> Counters {
        let (doors, running, final) = state.withLock { ($0.doors, $0.running, $0.final) }
        guard running == doors.count else { return final }
        let sum = Sum()
        let asked = doors.count { door in
            door.send { shard in
                sum.add(shard.gauged())
                sum.answered.open()
            }
        }
        for _ in 0..<asked where !sum.answered.wait(seconds: 2) { break }
        return sum.value
    }

    private final class Sum: Sendable {
        let answered = Latch()
        private let counters = Guarded(Counters())
        var value: Counters { counters.withLock { $0 } }
        func add(_ other: Counters) { counters.withLock { $0 += other } }
    }
}
