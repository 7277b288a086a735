// The server as one loop of a client has it: what becomes of its carriers, and who of those that look after them hears
// of it. Which applications there are, and when the loop ends, is the role's affair.
//
//   Upstream ──▶ Placement ──▶ Doubts ──▶ UpstreamCarriers ──▶ CarrierPool
//      │              └──▶ CarrierDials ──▶ CarrierDial ──▶ Approach
//      └──▶ Pairer ──▶ PairingAttempt ──▶ Approach
internal import Pairing
internal import Settings
internal import Wire

/// A client's one server on one loop. Not thread-safe.
final class Upstream: ClientCarrierOwner, Sleeper {
    let shared: ClientShared
    let shard: Shard
    let carriers: UpstreamCarriers
    private unowned let owner: any UpstreamOwner
    /// What new carriers are timed by.
    private var timings: CarrierTimings
    private(set) lazy var dials = CarrierDials(shared, on: shard, for: self)
    private(set) lazy var doubts = Doubts(carriers, shared, on: shard, for: self)
    private(set) lazy var placement = Placement(shared, on: shard, carriers, doubts, dials, for: owner)
    /// Only on the first loop.
    private var pairer: Pairer?
    private var upkeep: Timer?
    /// Carriers that are about to end and are not counted for their conversation any more.
    private var departing: Set<Ticket> = []

    /// A stream is opened so often again because the conversation was over.
    static let patience = 3

    /// `pool` is what this loop keeps ready.
    init(_ shared: ClientShared, on shard: Shard, pool: CarrierPool, for owner: any UpstreamOwner) {
        self.shared = shared
        self.shard = shard
        self.owner = owner
        carriers = UpstreamCarriers(pool)
        timings = CarrierTimings(shared.settings.common)
    }

    /// Other settings hold from now on; `pool` is what this loop keeps ready. Streams go on, whatever became of their
    /// service.
    func adopt(_ settings: ClientSettings, pool: PoolSettings) {
        timings = CarrierTimings(settings.common)
        for carrier in carriers.pool.resize(floor: pool.floor, cap: pool.cap) { carrier.end(.orderly) }
        refill()
    }

    func begin() {
        armUpkeep()
        guard shard.index == 0 else { return }
        let pairer = Pairer(shared, on: shard, for: self)
        self.pairer = pairer
        pairer.request(urgently: false)
    }

    // MARK: What the role asks

    /// Opens the stream of `application` on a carrier that is ready. False if there is none.
    func takes(_ application: Application) -> Bool { placement.takes(application) }

    /// Streams and carriers that are neither ready for one nor shared by several.
    var openStreams: Int { carriers.streams + doubts.openings.heldCount }

    /// An application connection waits: asks for a carrier, whatever was planned.
    func hurry() {
        guard shared.hasConversation(at: shard.moment) else { return requestPairing(urgently: true) }
        dials.hurry()
    }

    func requestPairing(urgently: Bool) {
        if let pairer { pairer.request(urgently: urgently) } else { owner.requestPairing(urgently: urgently) }
    }

    /// Some loop of this client has something to tell all of them.
    func hear(_ news: UpstreamNews) {
        switch news {
        case .conversationStands:
            dials.endPause()
            upkeep?.cancel()
            armUpkeep()
            // Carriers of the conversation before end with it; streams that are open go on.
            let conversation = shared.conversation
            carriers.retire(where: { !$0.belongs(to: conversation) }, parting: part)
        case .conversationEnded(let id): carriers.retire { $0.belongs(to: id) }
        case .conversationExpired: carriers.retire { _ in true }
        }
        doubts.forgetUnanswerable()
        if case .conversationStands = news { refill() }
    }

    /// The drain time-out has passed: ends what has a stream, and what is of no use for logging off.
    func cut() {
        doubts.giveUpAll(.drainTimeout)
        for carrier in Array(carriers.all.values) where carrier.phase != .idle && carrier !== carriers.emptyTrunk {
            carrier.hasStream ? carrier.abort(.drainTimeout) : carrier.end(.orderly)
        }
        for carrier in Array(carriers.all.values) where carrier.phase == .idle && !carriers.pool.has(carrier) {
            carrier.end(.orderly)
        }
    }

    /// Nothing will be asked of the server any more but to log off.
    func stop() {
        pairer?.stop()
        dials.stop()
    }

    /// Says so on what is left, which ends with it.
    func logOff() {
        // Other loops may have asked for a pairing since this one had left.
        pairer?.stop()
        pairer = nil
        placement.forgetHeavy()
        for carrier in carriers.pool.takeAll() { carrier.sayBye() }
        carriers.trunk?.sayBye()
        shared.forget()
    }

    // MARK: Carriers

    /// Counts `carrier` among this loop's.
    func adopt(_ carrier: Carrier) {
        carriers.adopt(carrier)
        if upkeep == nil { armUpkeep() }
    }

    /// Forgets `carrier`, which leaves this loop.
    func letGo(_ carrier: Carrier) {
        if carriers.takeOut(carrier) { doubts.forget(carrier) }
    }

    /// Makes a carrier of this loop of `link`.
    private func carrier(on link: consuming ProvenLink, _ phase: Carrier.Phase) -> Carrier {
        let carrier = link.carrier(phase, timings, on: shard, owner: self)
        shared.hasCarrier(of: carrier.peer.conversation)
        adopt(carrier)
        return carrier
    }

    func carrierConfirmed(_ carrier: Carrier) {
        tell(shared.watch.answers(at: shard.now))
        pairer?.confirmed(carrier)
        placement.give(carrier)
    }

    func carrierIsIdle(_ carrier: Carrier) {
        let isDraining = owner.ending.isDraining
        guard let present = shared.alive(at: shard.moment), carrier.belongs(to: present) || isDraining else {
            return part(with: carrier)
        }
        if shard.kind == .heavy, !isDraining, !carrier.isRetiring, !carrier.link.hungUp {
            carrier.isMisplaced = true
        } else {
            placement.give(carrier)
        }
    }

    /// Ends a carrier without a stream that is not needed any more.
    private func part(with carrier: Carrier) { logsOff(on: carrier) ? carrier.sayBye() : carrier.end(.orderly) }

    /// Another conversation has replaced the carrier's, and it is the last one of that: nobody needs the old one now.
    func logsOff(on carrier: Carrier) -> Bool {
        departing.insert(carrier.ticket).inserted && shared.lostCarrier(of: carrier.peer.conversation)
    }

    func carrierIsHeard(_ carrier: Carrier) {
        guard doubts.isHeard(carrier) else { return }
        switch carrier.phase {
        case .idle where !carrier.isMisplaced: carrierIsIdle(carrier)
        case .shared where !carrier.isRetiring: placement.shareAgain(carrier)
        default: break
        }
    }

    func carrierLeaves(_ carrier: Carrier) {
        guard carrier !== carriers.trunk else { return carriers.retireTrunk() }
        carriers.pool.remove(carrier)
        carrier.retire()
    }

    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) {
        guard carriers.takeOut(carrier) else { return }
        if departing.remove(carrier.ticket) == nil { _ = shared.lostCarrier(of: carrier.peer.conversation) }
        doubts.hasEnded(carrier)
        pairer?.carrierClosed(carrier)
        let isLast = carriers.isEmpty && shard.kind != .heavy
        switch end {
        case .orderly: break
        case .streamBroken(let why): shard.emit(.streamBroken(carrier.service, why))
        case .lost(let why):
            shard.emit(.carrierLost(why))
            tell(shared.watch.carrierBroke("\(why)", resets: carrier.streamsReset, isLast: isLast, at: shard.now))
        }
        owner.carrierHasEnded()
        if owner.ending.isDraining, demand.waitedFor == 0 { return }
        if carriers.isEmpty, shard.kind != .heavy { tell(shared.watch.lastCarrierEnded()) }
        if isUseful(carrier) {
            wasUseful(carrier)
        } else if wasEndedByPeer(carrier, end) {
            dials.wasUseless()
        }
        refill()
    }

    /// Whether the peer or the way to it brought about this end of `carrier`, which came before it was of use.
    private func wasEndedByPeer(_ carrier: Carrier, _ end: CarrierEnd) -> Bool {
        switch end {
        case .lost: true
        // Idle, and the peer closed.
        case .orderly: carrier.link.hungUp
        // One of the applications, or the server in words.
        case .streamBroken: false
        }
    }

    private func isUseful(_ carrier: Carrier) -> Bool { shard.now &- carrier.since >= Backoff.useful }

    private func wasUseful(_ carrier: Carrier) {
        dials.wasUseful()
        shared.wasUseful(carrier.peer.conversation)
    }

    private func tell(_ event: RelayEvent?) {
        if let event, !owner.ending.isDraining { shard.emit(event) }
    }

    // MARK: Streams that come back, or move

    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack) {
        if case .conversationOver = why {
            let id = carrier.peer.conversation
            if shared.ended(id, forNothing: first.refusals > 1) {
                shard.emit(.conversationEnded("the server says so"))
                owner.tellAllLoops(.conversationEnded(id))
            }
            hear(.conversationEnded(id))
        }
        let application = Application(app, first, shares: shared.settings.shares(first.service))
        guard first.refusals <= Self.patience, first.losses <= Doubts.mostLosses else {
            return owner.turnAway(application, "the server takes no stream")
        }
        owner.serve(application)
    }

    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes) {
        let application = Application(app, first, shares: shared.settings.shares(first.service))
        let id = carrier.peer.conversation
        guard shared.conversation == id, !owner.ending.hasLeft, first.losses <= Doubts.mostLosses else {
            return giveUp(application, .linkBroke)
        }
        doubts.hold(first.number, application, of: id)
    }

    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64]) {
        doubts.isAnswered(on: carrier, about: numbers, begun: begun)
    }

    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason) {
        guard let service else { return }
        shard.emit(.streamRefused(service, server: shared.settings.server.description, reason))
    }

    func streamIsHeavy(_ stream: SharedStream) { placement.move(stream) }
    func carrierLostStream(_ carrier: Carrier) { owner.leaveIfDone() }
    func carrierIsMisplaced(_ carrier: Carrier) { owner.carrierIsMisplaced(carrier) }
    func carrierMayGoOn(_ carrier: Carrier) -> Bool { true }
    /// There is one server: nobody else is held up by what it sends.
    func allowance(of peer: Peer) -> Allowance { Allowance() }

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
        doubts.noticeSleep()
        for carrier in carriers.pool.trim() { carrier.end(.orderly) }
        placement.forgetTheRest()
        lookAtServer()
        useConversation()
        pairer?.lookAfterConversation()
        armUpkeep()
    }

    /// Notes that carriers have been of use, and whether the server was heard.
    private func lookAtServer() {
        let conversation = shared.conversation
        if let useful = carriers.all.values.first(where: { isUseful($0) && $0.belongs(to: conversation) }) {
            wasUseful(useful)
        }
        tell(shared.watch.look(heard: carriers.all.values.lazy.map(\.lastHeard).max(), at: shard.now))
    }

    /// A stream counts for its own conversation, and as long as the server counts it too.
    private func useConversation() {
        guard let present = shared.conversation else { return }
        let isUsed = carriers.all.values.contains { $0.belongs(to: present) && $0.hasUnendedStream }
        if isUsed { shared.touch(present, at: shard.moment) }
    }
}

extension Upstream: DoubtsOwner {
    func serve(_ application: Application) { owner.serve(application) }

    func giveUp(_ application: Application, _ why: StreamFault) {
        application.endpoint.reset()
        shared.watch.turnedAway()
        shard.counters.brokenStreams &+= 1
        shard.emit(.streamBroken(application.service, why))
    }

    func refill() { dials.refill() }

    func doubtsAreSettled() { owner.leaveIfDone() }
}

extension Upstream: CarrierDialsOwner {
    /// Those who share a carrier need one between them.
    var demand: CarrierDemand {
        let isAsking = !doubts.openings.unasked.isEmpty
        let pool = carriers.pool
        return CarrierDemand(
            waitedFor: owner.carriersWaitedFor + placement.carriersWaitedFor + (isAsking ? 1 : 0),
            ahead: owner.ending.isDraining ? 0 : max(0, pool.floor - pool.count))
    }

    func isOpened(_ link: consuming ProvenLink) {
        tell(shared.watch.answers(at: shard.now))
        shard.counters.resumes &+= 1
        let carrier = carrier(on: link, .idle)
        placement.give(carrier)
        if carrier.phase != .closed { carrier.advance() }
    }

    func lacksConversation() {
        if owner.carriersWaitedFor > 0 { requestPairing(urgently: true) }
    }

    func conversationIsRejected() {
        doubts.forgetUnanswerable()
        shard.emit(.pairingAgain)
        requestPairing(urgently: owner.carriersWaitedFor > 0)
    }

    func dialFailed(_ why: String) {
        shard.emit(.cannotOpenCarrier(why))
        tell(shared.watch.unreached(why, at: shard.now))
    }

    func dialIsShort(of what: String) {
        shard.emit(.shortage(server: shared.settings.server.description, what))
    }
}

extension Upstream: PairerOwner {
    func confirming(on link: consuming ProvenLink) -> Carrier { carrier(on: link, .confirming) }

    func tellAllLoops(_ news: UpstreamNews) { owner.tellAllLoops(news) }
}
