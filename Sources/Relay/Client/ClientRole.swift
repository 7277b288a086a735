// One loop's share of the client: accepts application connections, gives each a carrier that is ready,
// and keeps enough of those ready. A loop for heavy streams does nothing but carry them.
internal import DequeModule
internal import Pairing
internal import Settings
internal import Synchronization
internal import Wire

/// The client on one loop. Not thread-safe.
final class ClientRole: CarrierPasser, Host, Sleeper {
    let shard: Shard
    let shared: ClientShared
    /// What holds on this loop.
    private(set) var settings: ClientSettings
    private(set) var timings: CarrierTimings
    let loops: Loops
    private let sockets: [(service: ServiceID, socket: ListeningSocket)]
    private var connectionLimit: Int
    private(set) var listeners: [Listener] = []
    /// Counts among the loops that accept.
    private var isListening = false

    var carriers: [Ticket: Carrier] = [:]
    // Asked for every stream. Accesses need no check at run time: neither calls anybody.
    @exclusivity(unchecked) var pool: CarrierPool
    @exclusivity(unchecked) var waiting = WaitingRoom()
    /// The carrier that new streams share, and those before it that still have some.
    var trunk: Carrier?
    var formerTrunks: [Carrier] = []
    /// Heavy streams that wait for a carrier of their own, first come, first served.
    var heavy: Deque<SharedStream> = []
    var dials: [Ticket: CarrierDial] = [:]
    var backoff = Backoff()
    var dialledAt: Nanoseconds = 0
    /// Which carriers should be heard, and what became of streams on those that are not.
    var doubts = Doubts()
    /// Only on the first shard.
    private var pairer: Pairer?

    var dialRetry: Timer?
    /// The next look at whether dials hang.
    var dialLook: Timer?
    /// Nobody's hurry cuts this pause short.
    var isRetryFixed = false
    private var patience: Timer?
    private var upkeep: Timer?
    /// No carrier will come from another loop any more.
    private var everybodyDrained = false
    /// Nothing is left to do but to log off.
    private(set) var hasLeft = false
    private var hasLoggedOff = false

    /// A stream is opened so often again because the conversation was over.
    static let patience = 3

    /// `loops` are all of this client, this one included.
    init(
        _ shared: ClientShared, sockets: [(service: ServiceID, socket: ListeningSocket)], shard: Shard, loops: Loops
    ) {
        self.shared = shared
        self.sockets = sockets
        self.shard = shard
        self.loops = loops
        let settings = shared.settings
        self.settings = settings
        timings = CarrierTimings(settings.common)
        let (floor, cap) = Self.share(of: settings.pool, shard.kind, loops)
        pool = CarrierPool(floor: floor, cap: cap)
        connectionLimit = Self.share(of: settings.common.maxConnections, loops)
    }

    private static func share(of whole: Int, _ loops: Loops) -> Int { (whole + loops.pairs - 1) / loops.pairs }

    /// What is idle waits where streams begin.
    private static func share(of pool: PoolSettings, _ kind: LoopKind, _ loops: Loops) -> (floor: Int, cap: Int) {
        kind == .heavy ? (0, 0) : (share(of: pool.floor, loops), share(of: pool.cap, loops))
    }

    /// Other settings hold from now on. Returns the idle carriers that are too many now.
    func replaceSettings(by settings: ClientSettings) -> [Carrier] {
        self.settings = settings
        timings = CarrierTimings(settings.common)
        connectionLimit = Self.share(of: settings.common.maxConnections, loops)
        let (floor, cap) = Self.share(of: settings.pool, shard.kind, loops)
        return pool.resize(floor: floor, cap: cap)
    }

    // MARK: Role

    func begin() {
        listen(on: sockets)
        armUpkeep()
        if shard.index == 0 {
            let pairer = Pairer(self)
            self.pairer = pairer
            pairer.request(urgently: false)
        }
    }

    /// Accepts at `sockets` too.
    func listen(on sockets: [(service: ServiceID, socket: ListeningSocket)]) {
        for (service, socket) in sockets {
            let listener = Listener(
                socket, on: shard, for: self, service: service, sharesCarriers: shares(service))
            listeners.append(listener)
            listener.open()
        }
        guard !sockets.isEmpty, !isListening else { return }
        isListening = true
        shared.listens()
    }

    /// Accepts no more at those of the listeners that `isGone` says of.
    func forgetListeners(_ isGone: (Listener) -> Bool) { listeners.removeAll(where: isGone) }

    func drain() {
        let streams = openStreams + waiting.count
        if streams > 0 { shard.emit(.draining(streams: streams)) }
        loops.beginsDraining()
        leaveIfDone()
    }

    func everybodyDrains() {
        everybodyDrained = true
        leaveIfDone()
    }

    func cut() {
        let cut = openStreams + waiting.count
        if cut > 0 { shard.emit(.cut(streams: cut)) }
        stopListening(taking: false)
        while let application = waiting.next() { turnAway(application, "drain time-out") }
        giveUpDoubts("drain time-out")
        for carrier in Array(carriers.values) where carrier.phase != .idle && carrier !== emptyTrunk {
            carrier.hasStream ? carrier.abort(.draining, "drain time-out") : carrier.end(.orderly)
        }
        for carrier in Array(carriers.values) where carrier.phase == .idle && !pool.has(carrier) {
            carrier.end(.orderly)
        }
        leaveIfDone()
    }

    var idleCarriers: Int { pool.count }

    var isFinished: Bool { hasLoggedOff && carriers.isEmpty }

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
        let isAlone = shard.kind != .light || shard.isCut || loops.carriersAway(ofPairWith: shard.index) == 0
        return waiting.isEmpty && openStreams == 0 && isAlone
    }

    /// Ends this loop's share once no application connection is left; new ones are served until then. When the last loop
    /// has come so far, all of them log off; until then each light one keeps an idle carrier to say so on.
    func leaveIfDone() {
        guard shard.isDraining, !hasLeft, isDone else { return }
        stopListening(taking: true)
        guard everybodyDrained, !hasLeft, isDone else { return }
        hasLeft = true
        pairer?.stop()
        for dial in dials.values { dial.cancel() }
        dials = [:]
        if shared.isLastToLeave() { tellAll { $0.logOff() } }
    }

    private func logOff() {
        hasLoggedOff = true
        for carrier in pool.takeAll() { carrier.sayBye() }
        trunk?.sayBye()
        shared.forget()
    }

    // MARK: Application connections

    var mayAccept: Bool {
        openStreams + waiting.count + loops.carriersAway(ofPairWith: shard.index) < connectionLimit
    }

    /// Streams and carriers that are neither ready for one nor shared by several.
    private var openStreams: Int {
        var count = carriers.count - pool.count + doubts.heldCount
        if let trunk { count += trunk.sharedStreams - 1 }
        for trunk in formerTrunks { count += trunk.sharedStreams - 1 }
        return count
    }

    private var emptyTrunk: Carrier? { trunk?.phase == .shared && trunk?.sharedStreams == 0 ? trunk : nil }

    func accepted(_ fd: Int32, from address: SocketAddress, by listener: Listener) {
        guard let service = listener.service, let endpoint = shard.poller.add(fd: fd) else { return }
        endpoint.resetsByDefault = true  // from the listener
        serve(
            Application(
                endpoint: endpoint, service: service, source: address.source, shares: listener.sharesCarriers))
    }

    func serve(_ application: Application) {
        noticeSleep()
        // A carrier is as good as its conversation: the server serves none whose time is over.
        guard shared.touch(at: shard.moment) != nil else { return wait(application) }
        if application.shares, shareTrunk(with: application) { return }
        while let carrier = pool.take() {
            // The server may have gone a moment ago: better to see it now than to lose what the application
            // sends.
            guard carrier.link.isGone else { return open(application, on: carrier) }
            carrier.end(.orderly)
        }
        wait(application)
    }

    func open(_ application: Application, on carrier: Carrier) {
        expectWord(of: carrier)
        let message = opening(application)
        application.first?.begin(as: message.streamNumber, now: shard.now)
        carrier.open(message, for: application.endpoint, beginning: application.first)
        if pool.count < pool.floor { refill() }
    }

    private func opening(_ application: Application) -> OpenMessage {
        OpenMessage(streamNumber: shared.nextStreamNumber(), source: application.source, service: application.service)
    }

    /// Opens a stream on the shared carrier, which an idle carrier becomes if there is none. False if none is ready.
    private func shareTrunk(with application: Application) -> Bool {
        if let trunk, !trunk.takesStreams || trunk.link.isGone { retireTrunk() }
        while trunk == nil {
            guard let carrier = pool.take() else { return false }
            guard !carrier.link.isGone else {
                carrier.end(.orderly)
                continue
            }
            carrier.share()
            trunk = carrier
            if pool.count < pool.floor { refill() }
        }
        openShared(application)
        return true
    }

    func openShared(_ application: Application) {
        guard let trunk else { return }
        expectWord(of: trunk)
        let message = opening(application)
        application.first?.begin(as: message.streamNumber, now: shard.now)
        trunk.openShared(message, for: application.endpoint, beginning: application.first)
    }

    /// New streams go elsewhere; the shared carrier ends when those on it have.
    func retireTrunk() {
        guard let trunk else { return }
        self.trunk = nil
        formerTrunks.append(trunk)
        trunk.retire()
    }

    private func wait(_ application: Application) {
        let settings = settings.waiting
        guard shared.waiting.wrappingAdd(1, ordering: .relaxed).oldValue < settings.most else {
            return turnAway(application, "too many are waiting for the server")
        }
        waiting.enter(application, until: shard.now &+ settings.atMost.nanoseconds)
        armPatience()
        hurry()
    }

    func turnAway(_ application: Application, _ why: String) {
        shared.waiting.wrappingSubtract(1, ordering: .relaxed)
        application.endpoint.reset()
        shared.watch.turnedAway()
        shard.counters.brokenStreams &+= 1
        shard.emit(.applicationTurnedAway(application.service, why))
    }

    /// The next application connection that waits for a carrier, or for one that it may share.
    func nextWaiting(sharing: Bool = false) -> Application? {
        while let application = sharing ? waiting.nextSharing() : waiting.next() {
            shared.waiting.wrappingSubtract(1, ordering: .relaxed)
            // One that gave up without a word wants nothing of the service any more.
            guard application.endpoint.failed, application.endpoint.isGone else { return application }
            application.endpoint.reset()
            shard.counters.brokenStreams &+= 1
        }
        return nil
    }

    private func armPatience() {
        guard patience == nil, let deadline = waiting.nextDeadline else { return }
        patience = shard.arm(self, after: deadline &- min(deadline, shard.now))
    }

    func requestPairing(urgently: Bool) {
        if let pairer { return pairer.request(urgently: urgently) }
        loops.mailboxes[0].post { ($0.role as? ClientRole)?.pairer?.request(urgently: urgently) }
    }

    /// Runs `body` on every loop of this client.
    func tellAll(_ body: @escaping @Sendable (ClientRole) -> Void) {
        for mailbox in loops.mailboxes {
            mailbox.post { shard in
                if let role = shard.role as? ClientRole { body(role) }
            }
        }
    }

    /// A new conversation stands.
    func established(_ generation: UInt64) {
        dialRetry?.cancel()
        dialRetry = nil
        upkeep?.cancel()
        armUpkeep()
        // Carriers of the conversation before end with it; streams that are open go on.
        let conversation = shared.conversation
        if trunk?.belongs(to: conversation) == false { retireTrunk() }
        for carrier in pool.takeAll() where !carrier.belongs(to: conversation) || !pool.put(carrier) {
            carrier.end(.orderly)
        }
        forgetUnanswerable()
        refill()
    }

    /// Counts `carrier` among this shard's.
    func adopt(_ carrier: Carrier) {
        carriers[carrier.ticket] = carrier
        if upkeep == nil { armUpkeep() }
    }

    func letGo(_ carrier: Carrier) {
        if takeOut(carrier) { forgetDoubts(of: carrier) }
    }

    /// Takes `carrier` out of every list there is. False if it was in none.
    private func takeOut(_ carrier: Carrier) -> Bool {
        if carrier === trunk { trunk = nil }
        formerTrunks.removeAll { $0 === carrier }
        pool.remove(carrier)
        return carriers.removeValue(forKey: carrier.ticket) != nil
    }

    func stays(_ carrier: Carrier) { give(carrier) }

    /// Every carrier here, those that wait for a stream, and those that streams share, for tests.
    var register: (all: [Carrier], idle: [Carrier], shared: [Carrier]) {
        (Array(carriers.values), pool.all, (trunk.map { [$0] } ?? []) + formerTrunks)
    }

    // MARK: CarrierOwner

    func carrierConfirmed(_ carrier: Carrier) {
        tell(shared.watch.answers(at: shard.now))
        pairer?.confirmed(carrier)
        give(carrier)
    }

    func carrierIsIdle(_ carrier: Carrier) {
        guard let present = shared.alive(at: shard.moment), carrier.belongs(to: present) || shard.isDraining else {
            return carrier.end(.orderly)
        }
        if shard.kind == .heavy, !shard.isDraining, !carrier.isRetiring, !carrier.link.hungUp {
            carrier.isMisplaced = true
        } else {
            give(carrier)
        }
    }

    func takesOver(_ carrier: Carrier) {
        if carrier.phase == .idle { carrierIsIdle(carrier) }
    }

    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack) {
        if case .conversationOver = why {
            let id = carrier.peer.conversation
            if shared.ended(id, forNothing: first.refusals > 1) {
                shard.emit(.conversationEnded("the server says so"))
                tellAll { $0.leaveConversation(id) }
            }
            leaveConversation(id)
        }
        let application = Application(
            endpoint: app, service: first.service, source: first.source, shares: shares(first.service), first: first)
        guard first.refusals <= Self.patience, first.losses <= Doubts.mostLosses else {
            shared.waiting.wrappingAdd(1, ordering: .relaxed)
            return turnAway(application, "the server takes no stream")
        }
        serve(application)
    }

    private func leaveConversation(_ id: ConversationID) {
        if trunk?.belongs(to: id) == true { retireTrunk() }
        for carrier in pool.takeAll() where carrier.belongs(to: id) || !pool.put(carrier) { carrier.end(.orderly) }
        forgetUnanswerable()
    }

    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason) {
        guard let service else { return }
        shard.emit(.streamRefused(service, server: settings.server.description, reason))
    }

    func carrierMayGoOn(_ carrier: Carrier) -> Bool { true }
    func carrier(_ carrier: Carrier, withdraws numbers: [UInt64]) -> [UInt64] { numbers }
    /// There is one server: nobody else is held up by what it says.
    func allowance(of peer: Peer) -> Allowance { Allowance() }

    func carrierLostStream(_ carrier: Carrier) { leaveIfDone() }

    func carrierLeaves(_ carrier: Carrier) {
        guard carrier !== trunk else { return retireTrunk() }
        pool.remove(carrier)
        carrier.retire()
    }

    func streamIsHeavy(_ stream: SharedStream) {
        guard stream.mayMove, !stream.isQueued, !hasLeft else { return }
        while let carrier = pool.take() {
            guard !carrier.link.isGone, carrier.peer.conversation == stream.carrier.peer.conversation else {
                carrier.end(.orderly)
                continue
            }
            // Who has been quiet is asked first: a stream that moves cannot come back.
            guard carrier.wasHeardLately else {
                isQueued(stream)
                return suspect(carrier)
            }
            expectWord(of: carrier)
            carrier.move(stream)
            if pool.count < pool.floor { refill() }
            return
        }
        isQueued(stream)
        refill()
    }

    private func isQueued(_ stream: SharedStream) {
        stream.isQueued = true
        heavy.append(stream)
    }

    /// The next heavy stream that still wants a carrier of its own.
    func nextHeavy() -> SharedStream? {
        while let stream = heavy.popFirst() {
            stream.isQueued = false
            if stream.mayMove { return stream }
        }
        return nil
    }

    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) {
        guard takeOut(carrier) else { return }
        forgetDoubts(of: carrier)
        if doubts.hasNew { seekAnswers() }
        if shard.kind == .heavy { loops.isBack(inPairWith: shard.index) }
        pairer?.carrierClosed(carrier)
        switch end {
        case .orderly: break
        case .streamBroken(let why): shard.emit(.streamBroken(carrier.service, why))
        case .lost(let why):
            shard.emit(.carrierLost(why))
            let isLast = carriers.isEmpty && shard.kind != .heavy
            tell(shared.watch.carrierBroke(why, resets: carrier.streamsReset, isLast: isLast, at: shard.now))
        }
        if shard.isDraining {
            if shard.kind == .heavy { loops.partner(of: shard.index)?.post { ($0.role as? ClientRole)?.leaveIfDone() } }
            leaveIfDone()
            guard wanted > 0 else { return }
        }
        if carriers.isEmpty, shard.kind != .heavy { tell(shared.watch.lastCarrierEnded()) }
        if isUseful(carrier) {
            wasUseful(carrier)
        } else if carrier.wasEndedByPeer(end) {
            // A server that takes carriers only to drop them is not asked again at once.
            wasUseless()
        }
        refill()
    }

    // MARK: Time

    private func armUpkeep() {
        // A loop for heavy streams that has none sleeps.
        guard shard.kind != .heavy || !carriers.isEmpty else {
            upkeep = nil
            return
        }
        let shortest = shared.shortestLifetime?.nanoseconds ?? .max
        upkeep = shard.arm(self, after: min(max(shortest / 8, 50_000_000), 10_000_000_000))
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === dialRetry {
            dialRetry = nil
            refill()
        } else if timer === dialLook {
            dialLook = nil
            refill()
        } else if timer === patience {
            patience = nil
            while let application = waiting.nextOverdue(now: now) {
                turnAway(application, "the server did not answer in time")
            }
            armPatience()
            leaveIfDone()
        } else if timer === doubts.timer {
            lookAtDoubts(now)
        } else if timer === upkeep {
            noticeSleep()
            for carrier in pool.trim() { carrier.end(.orderly) }
            heavy.removeAll { !$0.mayMove }
            lookAtServer()
            lookAfterConversation()
            armUpkeep()
        }
    }

    private func lookAfterConversation() {
        let now = ContinuousClock.now
        // A stream counts for its own conversation, and as long as the server counts it too.
        if let present = shared.conversation,
            carriers.values.contains(where: { $0.belongs(to: present) && $0.hasUnendedStream })
        {
            shared.touch(present, at: now)
        }
        guard shard.index == 0 else { return }
        shard.handledSecrets()
        shard.warnOfUnlockedSecrets()
        switch shared.sweep(at: now) {
        case .unchanged: break
        case .due: pairer?.request(urgently: false, renewing: true)
        case .ended(let why):
            shard.emit(.conversationEnded(why))
            tellAll { role in
                role.retireTrunk()
                for carrier in role.pool.takeAll() { carrier.end(.orderly) }
                role.forgetUnanswerable()
            }
        }
    }
}
