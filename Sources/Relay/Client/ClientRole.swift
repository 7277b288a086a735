// One loop of a client: accepts application connections, lets its upstream serve them, keeps those that have to
// wait, and ends when the last of them has gone. A loop for heavy streams does nothing but carry them.
internal import Settings
internal import Synchronization
internal import Wire

/// The client on one loop. Not thread-safe.
final class ClientRole: CarrierPasser, Host, UpstreamOwner, Sleeper {
    let shard: Shard
    let shared: ClientShared
    let loops: Loops<ClientRole>
    private let sockets: [(service: ServiceID, socket: ListeningSocket)]
    /// What holds on this loop.
    private(set) var settings: ClientSettings
    private var connectionLimit: Int
    private(set) var listeners: [Listener] = []
    /// Counts among the loops that accept.
    private var isListening = false
    private(set) lazy var upstream = Upstream(shared, on: shard, pool: CarrierPool(poolShare), for: self)
    // Asked for every stream. Accesses need no check at run time: it calls nobody.
    @exclusivity(unchecked) private(set) var waiting = WaitingRoom()
    /// The end of the first one's patience.
    private var patience: Timer?
    private(set) var ending = ClientEnding.serving

    /// `loops` are all of this client, this one included.
    init(
        _ shared: ClientShared, sockets: [(service: ServiceID, socket: ListeningSocket)], shard: Shard,
        loops: Loops<ClientRole>
    ) {
        self.shared = shared
        self.sockets = sockets
        self.shard = shard
        self.loops = loops
        settings = shared.settings
        connectionLimit = loops.share(of: settings.common.maxConnections)
    }

    /// What this loop keeps of the pool. What is idle waits where streams begin.
    private var poolShare: PoolSettings {
        guard shard.kind != .heavy else { return PoolSettings(floor: 0, cap: 0) }
        return PoolSettings(floor: loops.share(of: settings.pool.floor), cap: loops.share(of: settings.pool.cap))
    }

    /// Other settings hold from now on.
    func replaceSettings(by settings: ClientSettings) {
        self.settings = settings
        connectionLimit = loops.share(of: settings.common.maxConnections)
        upstream.adopt(settings, pool: poolShare)
    }

    // MARK: Role

    func begin() {
        listen(on: sockets)
        upstream.begin()
    }

    /// Accepts at `sockets` too.
    func listen(on sockets: [(service: ServiceID, socket: ListeningSocket)]) {
        for (service, socket) in sockets {
            let listener = Listener(
                socket, on: shard, for: self, service: service, sharesCarriers: settings.shares(service))
            listeners.append(listener)
            listener.open()
        }
        guard !sockets.isEmpty, !isListening else { return }
        isListening = true
        shared.listens()
    }

    /// Accepts no more at those of the listeners for which `isGone` holds.
    func forgetListeners(where isGone: (Listener) -> Bool) { listeners.removeAll(where: isGone) }

    func drain() {
        ending.drain()
        let streams = upstream.openStreams + waiting.count
        if streams > 0 { shard.emit(.draining(streams: streams)) }
        loops.beginsDraining()
        leaveIfDone()
    }

    func everybodyDrains() {
        ending.everybodyDrains()
        leaveIfDone()
    }

    func cut() {
        ending.cut()
        let cut = upstream.openStreams + waiting.count
        if cut > 0 { shard.emit(.cut(streams: cut)) }
        stopListening(taking: false)
        while let application = waiting.next() { turnAwayWaiting(application, "drain time-out") }
        upstream.cut()
        leaveIfDone()
    }

    func gauge(_ counters: inout Counters) { counters.carriersIdle = upstream.carriers.pool.count }

    var isFinished: Bool { ending == .loggedOff && upstream.carriers.isEmpty }

    /// Accepts no more; `taking` those connections that the kernel has completed already.
    private func stopListening(taking: Bool) {
        guard isListening else { return }
        isListening = false
        let all = listeners
        listeners = []
        let isLast = shared.isLastToListen()
        for listener in all { isLast && taking ? listener.close() : listener.leave(isLast: isLast) }
    }

    /// Whether nothing is left that is to be finished before this loop ends, on its heavy partner neither.
    private var isDone: Bool {
        let isAlone = shard.kind != .light || ending.isCut || loops.carriersAway(ofPairWith: shard.index) == 0
        return waiting.isEmpty && upstream.openStreams == 0 && isAlone
    }

    /// Ends this loop's share once no application connection is left; new ones are served until then. When the last loop
    /// has come so far, all of them log off; until then each light one keeps an idle carrier to say so on.
    func leaveIfDone() {
        guard ending.mayLeave, isDone else { return }
        stopListening(taking: true)
        guard isDone, ending.leave() else { return }
        upstream.stop()
        if shared.isLastToLeave() { loops.tellAll { $0.logOff() } }
    }

    private func logOff() {
        ending.logOff()
        upstream.logOff()
    }

    // MARK: Application connections

    var mayAccept: Bool {
        upstream.openStreams + waiting.count + loops.carriersAway(ofPairWith: shard.index) < connectionLimit
    }

    func accepted(_ fd: Int32, from address: SocketAddress, by listener: Listener) {
        guard let service = listener.service, let endpoint = shard.poller.add(fd: fd) else { return }
        endpoint.resetsByDefault = true  // from the listener
        serve(
            Application(
                endpoint: endpoint, service: service, source: address.source, shares: listener.sharesCarriers))
    }

    func serve(_ application: Application) {
        if !upstream.takes(application) { wait(application) }
    }

    private func wait(_ application: Application) {
        let settings = settings.waiting
        guard shared.waiting.wrappingAdd(1, ordering: .relaxed).oldValue < settings.most else {
            return turnAwayWaiting(application, "too many are waiting for the server")
        }
        waiting.enter(application, until: shard.now &+ settings.atMost.nanoseconds)
        armPatience()
        upstream.hurry()
    }

    /// The next application connection that waits for a carrier, or for one that it may share.
    func nextWaiting(sharing: Bool) -> Application? {
        while let application = sharing ? waiting.nextSharing() : waiting.next() {
            shared.waiting.wrappingSubtract(1, ordering: .relaxed)
            // One that gave up without a word wants nothing of the service any more.
            guard application.endpoint.failed, application.endpoint.isGone else { return application }
            application.endpoint.reset()
            shard.counters.brokenStreams &+= 1
        }
        return nil
    }

    var carriersWaitedFor: Int { waiting.carriers }

    /// The same for one that was counted among those who wait.
    private func turnAwayWaiting(_ application: Application, _ why: String) {
        shared.waiting.wrappingSubtract(1, ordering: .relaxed)
        turnAway(application, why)
    }

    func turnAway(_ application: Application, _ why: String) {
        application.endpoint.reset()
        shared.watch.turnedAway()
        shard.counters.brokenStreams &+= 1
        shard.emit(.applicationTurnedAway(application.service, why))
    }

    private func armPatience() {
        guard patience == nil, let deadline = waiting.nextDeadline else { return }
        patience = shard.arm(self, after: deadline &- min(deadline, shard.now))
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        patience = nil
        while let application = waiting.nextOverdue(now: now) {
            turnAwayWaiting(application, "the server did not answer in time")
        }
        armPatience()
        leaveIfDone()
    }

    // MARK: Carriers, and other loops

    var carrierOwner: any CarrierOwner { upstream }

    func adopt(_ carrier: Carrier) { upstream.adopt(carrier) }

    func letGo(_ carrier: Carrier) { upstream.letGo(carrier) }

    func stays(_ carrier: Carrier) { upstream.placement.give(carrier) }

    func takesOver(_ carrier: Carrier) {
        if carrier.phase == .idle { upstream.carrierIsIdle(carrier) }
    }

    func carrierHasEnded() {
        if shard.kind == .heavy { loops.isBack(inPairWith: shard.index) }
        guard ending.isDraining else { return }
        if shard.kind == .heavy { loops.partner(of: shard.index)?.send { $0.leaveIfDone() } }
        leaveIfDone()
    }

    func requestPairing(urgently: Bool) {
        loops.doors[0].send { $0.upstream.requestPairing(urgently: urgently) }
    }

    func tellAllLoops(_ news: UpstreamNews) { loops.tellAll { $0.upstream.hear(news) } }
}
