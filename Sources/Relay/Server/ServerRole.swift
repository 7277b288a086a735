// One loop's share of the server: accepts, lets newcomers prove themselves, dials targets for streams,
// and lets conversations end when they must. A loop for heavy streams accepts nobody.
internal import Glibc
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

/// The server on one loop. Not thread-safe.
final class ServerRole: CarrierPasser, Host, Sleeper {
    let shard: Shard
    let shared: ServerShared
    let timings: CarrierTimings
    let loops: Loops<ServerRole>
    private let sockets: [ListeningSocket]
    private let connectionLimit: Int

    private var listeners: [Listener] = []
    private var newcomers: [Ticket: Newcomer] = [:]
    private var carriers: [Ticket: Carrier] = [:]
    /// Those that are shared, by conversation.
    private var trunks: [ConversationID: [Carrier]] = [:]
    /// What each device may cost, as long as it has carriers here.
    private var allowances: [PublicKey: (allowance: Allowance, carriers: Int)] = [:]
    /// What new carriers still have to say, by carrier.
    private var confirmations: [Ticket: Confirmation] = [:]
    /// The next look at whether carriers' conversations live. None without carriers.
    private var upkeep: Timer?
    /// The vault's next sweep, on the first loop. None without conversations.
    private var sweeper: Timer?
    private var sweepsAt: Nanoseconds = 0
    private var sweptAt: Nanoseconds?
    /// No carrier will come from another loop any more.
    private var everybodyDrained = false

    /// `loops` are all of this server, this one included.
    init(_ shared: ServerShared, sockets: [ListeningSocket], shard: Shard, loops: Loops<ServerRole>) {
        self.shared = shared
        self.shard = shard
        self.loops = loops
        self.sockets = sockets
        timings = CarrierTimings(shared.settings.common)
        connectionLimit = max(1, shared.settings.common.maxConnections / loops.pairs)
    }

    // MARK: Role

    func begin() {
        listeners = sockets.map { Listener($0, on: shard, for: self) }
        for listener in listeners { listener.open() }
        if shard.index == 0 { shard.warnOfUnlockedSecrets() }
    }

    func drain() {
        for listener in listeners { listener.close() }
        listeners = []
        for newcomer in Array(newcomers.values) { newcomer.turnAway("draining") }
        for carrier in Array(carriers.values) { carrier.retire() }
        if openStreams > 0 { shard.emit(.draining(streams: openStreams)) }
        loops.beginsDraining()
    }

    func everybodyDrains() { everybodyDrained = true }

    func cut() {
        if openStreams > 0 { shard.emit(.cut(streams: openStreams)) }
        for carrier in Array(carriers.values) {
            carrier.hasStream ? carrier.abort(.drainTimeout) : carrier.end(.orderly)
        }
    }

    func gauge(_ counters: inout Counters) {
        counters.carriersIdle = carriers.values.count { $0.phase == .idle }
    }

    var isFinished: Bool { everybodyDrained && carriers.isEmpty && newcomers.isEmpty }

    private var openStreams: Int {
        carriers.values.reduce(0) { $0 + ($1.phase == .shared ? $1.sharedStreams : $1.hasStream ? 1 : 0) }
    }

    // MARK: Newcomers

    var mayAccept: Bool {
        newcomers.count + carriers.count + loops.carriersAway(ofPairWith: shard.index) < connectionLimit
    }

    func accepted(_ fd: Int32, from address: SocketAddress, by listener: Listener) {
        guard let endpoint = shard.poller.add(fd: fd) else { return }
        let newcomer = Newcomer(endpoint, from: address, role: self)
        newcomers[newcomer.ticket] = newcomer
        newcomer.begin()
    }

    /// `newcomer` was turned away.
    func gone(_ newcomer: Newcomer) { newcomers[newcomer.ticket] = nil }

    /// A pairing that is not stored before the client has confirmed it, and the deadline for that.
    private final class Confirmation: Sleeper {
        var conversation: Conversation?
        let carrier: Carrier
        let address: SocketAddress
        var deadline: Timer?
        let since: Nanoseconds

        init(
            _ conversation: consuming Conversation?, _ carrier: Carrier, from address: SocketAddress, since: Nanoseconds
        ) {
            self.conversation = conversation
            self.carrier = carrier
            self.address = address
            self.since = since
        }

        func wake(_ timer: Timer, now: Nanoseconds) { carrier.lost(.local(.notConfirmed)) }
    }

    /// `newcomer` has become `carrier`, which must be confirmed by the moment `limit`.
    func adopt(
        _ carrier: Carrier, from newcomer: Newcomer, storing conversation: consuming Conversation?,
        confirmBy limit: Nanoseconds
    ) {
        gone(newcomer)
        let confirmation = Confirmation(conversation, carrier, from: newcomer.address, since: shard.now)
        confirmation.deadline = shard.arm(confirmation, after: limit &- min(limit, shard.now))
        confirmations[carrier.ticket] = confirmation
        adopt(carrier)
        carrier.advance()
    }

    /// Counts `carrier` among this loop's.
    func adopt(_ carrier: Carrier) {
        carriers[carrier.ticket] = carrier
        let device = carrier.peer.device
        carrier.allowance.budget = shared.budgets[device]
        allowances[device, default: (carrier.allowance, 0)].carriers += 1
        if upkeep == nil { upkeep = shard.arm(self, after: usualUpkeep) }
    }

    /// That of the device's other carriers here, if it has any.
    func allowance(of peer: Peer) -> Allowance { allowances[peer.device]?.allowance ?? Allowance() }

    func letGo(_ carrier: Carrier) { _ = takeOut(carrier) }

    /// Takes `carrier` out of every list there is. False if it was in none.
    private func takeOut(_ carrier: Carrier) -> Bool {
        guard carriers.removeValue(forKey: carrier.ticket) != nil else { return false }
        let device = carrier.peer.device
        allowances[device]?.carriers -= 1
        if allowances[device]?.carriers == 0 { allowances[device] = nil }
        confirmations.removeValue(forKey: carrier.ticket)?.deadline?.cancel()
        forgetTrunk(carrier)
        return true
    }

    func stays(_ carrier: Carrier) {}

    /// Every carrier here, and those that streams share, for tests that know which may be where.
    var register: (all: [Carrier], shared: [Carrier]) { (Array(carriers.values), trunks.values.flatMap { $0 }) }
    /// Devices that have carriers here.
    var devicesHere: Int { allowances.count }

    // MARK: CarrierOwner

    func carrierConfirmed(_ carrier: Carrier) {
        guard let confirmation = confirmations.removeValue(forKey: carrier.ticket) else { return }
        confirmation.deadline?.cancel()
        guard let conversation = confirmation.conversation.take() else {
            shard.counters.resumes &+= 1
            // Only now is it certain that the device's key is there: a recorded RESUME prolongs nothing.
            if !shared.vault.touch(carrier.peer.conversation, at: shard.moment) { carrier.retire() }
            return
        }
        // A device that is configured, and no replay of one, has not used up what strangers may ask for.
        shared.admission.giveBack(confirmation.address, now: shard.now)
        defer { sweepInTime() }
        do throws(VaultError) {
            try shared.vault.store(conversation)
        } catch {
            return carrier.lost(.local(.vaultIsFull))
        }
        shard.counters.pairings &+= 1
        carrier.due.insert(.confirmed)
        let device = place(of: carrier)
        shard.emit(
            .paired(
                with: "device \(device.name), \(carrier.peer.device.text),", at: device.address,
                .nanoseconds(shard.now &- confirmation.since)))
    }

    func carrier(_ carrier: Carrier, opens message: OpenMessage) {
        let budget = carrier.allowance.budget
        if let refusal = budget?.refusal { return carrier.refuse(for: .noRoom(refusal)) }
        carrier.place = budget.map { StreamPlace($0) }
        open(message, on: carrier, for: carrier)
    }

    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {
        guard shard.counters.streamsOpen <= connectionLimit else {
            return stream.refuse(for: .noRoom("limits.connections is reached"))
        }
        let budget = carrier.allowance.budget
        if let refusal = budget?.refusal { return stream.refuse(for: .noRoom(refusal)) }
        stream.place = budget.map { StreamPlace($0) }
        open(message, on: carrier, for: stream)
    }

    private func open(_ message: OpenMessage, on carrier: Carrier, for stream: some TargetSeeker) {
        guard let route = route(message.service, for: carrier) else {
            shard.emit(.refused(device: place(of: carrier), service: message.service.text))
            return stream.refuse(.serviceNotAllowed)
        }
        // Nothing expired is served, whether or not a sweep has come by; clients stop a little earlier.
        switch begin(message.streamNumber, on: carrier) {
        case .begun: break
        case .withdrawn: return stream.refuse(.withdrawn)
        case .tooLate: return stream.outlivedConversation()
        }
        if let addresses = route.literal ?? shared.resolver.known(route.target, at: shard.now) {
            return stream.dial(addresses, limit: route.limit)
        }
        let asked = shard.now
        shared.resolver.resolve(route.target, for: shard, limit: route.limit) { [weak stream, shard] answer in
            guard let stream, stream.awaitsTarget else { return }
            switch answer {
            case .found(let addresses):
                stream.dial(addresses, limit: route.limit &- min(shard.now &- asked, route.limit))
            case .failed(let why): stream.refuse(for: .unknownName(why))
            case .timedOut: stream.refuse(for: .timedOut)
            }
        }
    }

    func carrier(
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress]) {
        let device = place(of: carrier)
        if case .noRoom(let why) = failure {
            return shard.emit(.streamTurnedDown(service, device: device, why))
        }
        let route = shared.route(service, for: carrier.peer.device)
        shard.emit(
            .targetFailed(
                service, target: route?.inWords(trying: tried) ?? "?", device: device,
                failure.text(limit: route?.limit)))
    }

    /// Whose carrier this is and where that device is, for the log.
    private func place(of carrier: Carrier) -> DevicePlace {
        DevicePlace(
            name: shared.name(of: carrier.peer.device),
            address: carrier.link.endpoint.isOpen ? SocketAddress(peerOf: carrier.link.endpoint.fd)?.text : nil)
    }

    /// Begins the stream `number`, which is a use of the conversation. One that has a stream besides is in use, whenever
    /// somebody last came by to note that.
    private func begin(_ number: UInt64, on carrier: Carrier) -> StreamBeginning {
        let id = carrier.peer.conversation
        let beginning = shared.vault.begin(stream: number, in: id, at: shard.moment, isInUse: false)
        guard case .tooLate = beginning else { return beginning }
        let isInUse = trunks[id]?.contains { $0.sharedStreams > ($0 === carrier ? 1 : 0) } ?? false
        return isInUse ? shared.vault.begin(stream: number, in: id, at: shard.moment, isInUse: true) : .tooLate
    }

    func carrier(_ carrier: Carrier, withdraws numbers: [UInt64]) -> [UInt64] {
        shared.vault.withdraw(streams: numbers, in: carrier.peer.conversation, at: shard.moment)
    }

    /// Where streams of `service` on this carrier go; nil if its device may not use it. Settings do not change
    /// while the daemon runs, so the carrier remembers the last answer.
    private func route(_ service: ServiceID, for carrier: Carrier) -> Route? {
        if let known = carrier.route, known.service == service { return known }
        carrier.route = shared.route(service, for: carrier.peer.device)
        return carrier.route
    }

    func carrierIsIdle(_ carrier: Carrier) {
        shared.vault.touch(carrier.peer.conversation, at: shard.moment)
        carrier.isMisplaced = shard.kind == .heavy
    }

    func takesOver(_ carrier: Carrier) {
        if shard.isDraining || !shared.vault.isLive(carrier.peer.conversation, at: shard.moment) { carrier.retire() }
    }

    func carrierIsShared(_ carrier: Carrier) { trunks[carrier.peer.conversation, default: []].append(carrier) }

    /// The carrier with this ticket, if it is still here.
    func carrier(_ ticket: Ticket) -> Carrier? { carriers[ticket] }

    /// The stream with this number on a shared carrier of the conversation.
    func sharedStream(_ number: UInt64, of conversation: ConversationID) -> SharedStream? {
        for trunk in trunks[conversation] ?? [] {
            if let stream = trunk.sharing?.streams[number] { return stream }
        }
        return nil
    }

    func carrierLostStream(_ carrier: Carrier) { shared.vault.touch(carrier.peer.conversation, at: shard.moment) }
    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack) { app.reset() }
    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes) { app.reset() }
    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64]) {}
    func carrierIsHeard(_ carrier: Carrier) {}
    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason) {}
    func carrierLeaves(_ carrier: Carrier) {}
    func streamIsHeavy(_ stream: SharedStream) {}

    func carrierMayGoOn(_ carrier: Carrier) -> Bool {
        guard let service = carrier.service else { return shared.devices[carrier.peer.device] != nil }
        return shared.route(service, for: carrier.peer.device) != nil
    }

    func carrierSaidBye(_ carrier: Carrier) {
        let id = carrier.peer.conversation
        // Every shard of the client says so.
        defer { carrier.end(.orderly) }
        guard shared.vault.isLive(id, at: shard.moment) else { return }
        shared.vault.remove(id)
        shard.emit(.conversationEnded("device \(shared.name(of: carrier.peer.device)) logged off"))
        loops.tellAll { $0.endCarriers(of: id) }
    }

    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) {
        guard takeOut(carrier) else { return }
        if shard.kind == .heavy { loops.isBack(inPairWith: shard.index) }
        withdrawMove(of: carrier)
        switch end {
        case .orderly: break
        case .streamBroken(let why): shard.emit(.streamBroken(carrier.service, why))
        case .lost(let why):
            shard.emit(.carrierLost(why))
            let resets = carrier.streamsReset
            if resets > 0 { shard.emit(.deviceLost(place(of: carrier), "\(why)", resets: resets)) }
        }
    }

    private func forgetTrunk(_ carrier: Carrier) {
        let id = carrier.peer.conversation
        guard var shared = trunks[id] else { return }
        shared.removeAll { $0 === carrier }
        trunks[id] = shared.isEmpty ? nil : shared
    }

    private func endCarriers(of conversation: ConversationID) {
        for carrier in Array(carriers.values) where carrier.belongs(to: conversation) {
            // The end of a stream that is here may have come already without having been read.
            carrier.hasStream ? carrier.retire() : carrier.end(.orderly)
        }
    }

    // MARK: Conversations that end

    /// A client that was told that its conversation is over has so long to close its carriers.
    private static let farewell: Nanoseconds = 5_000_000_000

    /// Between two looks at the carriers' conversations, if none expires before: a stream counts as a use until then.
    private var usualUpkeep: Nanoseconds {
        let lifetimes = shared.settings.conversation
        return min(max(min(lifetimes.idle, lifetimes.lifetime).nanoseconds / 8, Self.soonest), Self.latest)
    }
    private static let soonest: Nanoseconds = 50_000_000
    /// A loop's timers do not count the machine's sleep, moments do: nothing is left to a timer for longer.
    private static let latest: Nanoseconds = 60_000_000_000

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === upkeep {
            upkeep = nil
            let next = lookAtConversations(now)
            if !carriers.isEmpty { upkeep = shard.arm(self, after: max(next, Self.soonest)) }
        } else if timer === sweeper {
            sweeper = nil
            if let due = shared.vault.nextSweep, due <= shard.moment { sweep(now) }
            armSweeper()
        }
    }

    /// Notes that conversations with streams are in use, and parts with carriers of those that are over. Returns after
    /// how long to look again.
    private func lookAtConversations(_ now: Nanoseconds) -> Nanoseconds {
        let moment = shard.moment
        var next = usualUpkeep
        for (id, carrier) in carriers where confirmations[id] == nil {
            if carrier.hasStream {
                shared.vault.touch(carrier.peer.conversation, at: moment, isInUse: true)
            } else if let expiry = shared.vault.expiry(of: carrier.peer.conversation, at: moment) {
                next = min(next, (expiry - moment).nanoseconds)
            } else if carrier.isRetiring, now &- carrier.retiredAt >= Self.farewell {
                // What was opened before LEAVING arrived had to find somebody who says no.
                carrier.end(.orderly)
            } else {
                carrier.retire()
                let since = carrier.isRetiring ? carrier.retiredAt : now
                next = min(next, Self.farewell &- min(now &- since, Self.farewell))
            }
        }
        return next
    }

    private func sweep(_ now: Nanoseconds) {
        sweptAt = now
        shard.handledSecrets()
        shard.warnOfUnlockedSecrets()
        let ended = shared.vault.sweep(at: shard.moment)
        if ended > 0 { shard.emit(.conversationEnded("\(ended) expired")) }
    }

    /// There may be something to sweep earlier than the first loop knows of.
    private func sweepInTime() {
        guard shard.index != 0 else { return armSweeper() }
        loops.doors[0].send { $0.armSweeper() }
    }

    /// Wakes when the vault's next sweep is due. Those of many conversations are done together.
    private func armSweeper() {
        shard.warnOfUnlockedSecrets()
        guard let due = shared.vault.nextSweep else { return }
        let lifetimes = shared.settings.conversation
        let shortest = min(lifetimes.idle, lifetimes.lifetime, lifetimes.epoch).nanoseconds
        let pause = min(max(shortest / 8, Self.soonest), Self.mostLate)
        let earliest = sweptAt.map { $0 &+ pause } ?? shard.now
        let at = max(shard.now &+ min((due - shard.moment).nanoseconds, Self.latest), earliest)
        if let sweeper {
            guard at < sweepsAt else { return }
            sweeper.cancel()
        }
        sweepsAt = at
        sweeper = shard.arm(self, after: at &- shard.now)
    }
    /// Sweeps come no closer than an eighth of the shortest lifetime, or this.
    private static let mostLate: Nanoseconds = 10_000_000_000
}
