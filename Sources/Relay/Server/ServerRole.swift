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
    let loops: Loops
    private let sockets: [ListeningSocket]
    /// What holds on this loop.
    private(set) var roster: Roster
    private var connectionLimit: Int

    private var listeners: [Listener] = []
    private var newcomers: [Ticket: Newcomer] = [:]
    private var carriers: [Ticket: Carrier] = [:]
    /// Those that are shared, by conversation.
    private var trunks: [ConversationID: [Carrier]] = [:]
    /// What each device may cost, as long as it has carriers here.
    private var allowances: [PublicKey: (allowance: Allowance, carriers: Int)] = [:]
    /// What new carriers still have to say, by carrier.
    private var confirmations: [Ticket: Confirmation] = [:]
    private var sweeper: Timer?
    /// No carrier will come from another loop any more.
    private var everybodyDrained = false

    /// `loops` are all of this server, this one included.
    init(_ shared: ServerShared, sockets: [ListeningSocket], shard: Shard, loops: Loops) {
        self.shared = shared
        self.shard = shard
        self.loops = loops
        self.sockets = sockets
        roster = shared.roster
        connectionLimit = Self.share(of: roster, loops)
    }

    private static func share(of roster: Roster, _ loops: Loops) -> Int {
        max(1, roster.settings.common.maxConnections / loops.pairs)
    }

    /// False if a later roster holds already.
    func replaceRoster(by roster: Roster) -> Bool {
        guard roster.version > self.roster.version else { return false }
        self.roster = roster
        connectionLimit = Self.share(of: roster, loops)
        sweeper?.cancel()
        armSweep()
        return true
    }

    // MARK: Role

    func begin() {
        listeners = sockets.map { Listener($0, on: shard, for: self) }
        for listener in listeners { listener.open() }
        armSweep()
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
            carrier.hasStream ? carrier.abort(.draining, "drain time-out") : carrier.end(.orderly)
        }
    }

    var idleCarriers: Int { carriers.values.count { $0.phase == .idle } }

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

        func wake(_ timer: Timer, now: Nanoseconds) { carrier.lost("not confirmed in time") }
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
        carrier.allowance.budget = roster.budgets[device]
        allowances[device, default: (carrier.allowance, 0)].carriers += 1
        if sweeper == nil { armSweep() }
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

    var everyCarrier: [Carrier] { Array(carriers.values) }

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
        do throws(VaultError) {
            try shared.vault.store(conversation)
        } catch {
            return carrier.lost("no room for another conversation")
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
        if let refusal = budget?.refusal { return carrier.turnDown(refusal) }
        carrier.place = budget.map { StreamPlace($0) }
        open(message, on: carrier, for: carrier)
    }

    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {
        guard shard.counters.streamsOpen <= connectionLimit else {
            return stream.turnDown("limits.connections is reached")
        }
        let budget = carrier.allowance.budget
        if let refusal = budget?.refusal { return stream.turnDown(refusal) }
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

    /// Where streams of `service` on this carrier go; nil if its device may not use it. The carrier remembers the last
    /// answer, which holds as long as the roster that gave it.
    private func route(_ service: ServiceID, for carrier: Carrier) -> Route? {
        if let known = carrier.route, known.service == service, known.version == roster.version { return known }
        carrier.route = roster.route(service, for: carrier.peer.device)
        return carrier.route
    }

    func carrierIsIdle(_ carrier: Carrier) {
        shared.vault.touch(carrier.peer.conversation, at: shard.moment)
        carrier.isMisplaced = shard.kind == .heavy
    }

    func takesOver(_ carrier: Carrier) {
        // The roster may have changed while it was on its way.
        review(carrier)
        guard carrier.phase != .closed else { return }
        if shard.isDraining || !shared.vault.isLive(carrier.peer.conversation, at: .now) { carrier.retire() }
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
    func carrierLeaves(_ carrier: Carrier) { carrier.violated("LEAVING by a client") }
    func streamIsHeavy(_ stream: SharedStream) {}

    func carrierSaidBye(_ carrier: Carrier) {
        let id = carrier.peer.conversation
        // Every shard of the client says so.
        defer { carrier.end(.orderly) }
        guard shared.vault.isLive(id, at: .now) else { return }
        shared.vault.remove(id)
        shard.emit(.conversationEnded("device \(roster.name(of: carrier.peer.device)) logged off"))
        for mailbox in loops.mailboxes {
            mailbox.post { shard in (shard.role as? ServerRole)?.endCarriers(of: id) }
        }
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
            if resets > 0 { shard.emit(.deviceLost(place(of: carrier), why, resets: resets)) }
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

    private func armSweep() {
        // A loop for heavy streams that has none sleeps.
        guard shard.kind != .heavy || !carriers.isEmpty else {
            sweeper = nil
            return
        }
        let lifetimes = roster.settings.conversation
        let shortest = min(lifetimes.idle, lifetimes.lifetime, lifetimes.epoch).nanoseconds
        sweeper = shard.arm(self, after: min(max(shortest / 8, 50_000_000), 10_000_000_000))
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        let moment = ContinuousClock.now
        for (id, carrier) in carriers where confirmations[id] == nil {
            if carrier.hasStream {
                shared.vault.touch(carrier.peer.conversation, at: moment, isInUse: true)
            } else if !shared.vault.isLive(carrier.peer.conversation, at: moment) {
                guard carrier.isRetiring else {
                    carrier.retire()
                    continue
                }
                // What was opened before LEAVING arrived must still find somebody who says no.
                if now &- carrier.retiredAt >= Self.farewell { carrier.end(.orderly) }
            }
        }
        shard.handledSecrets()
        if shard.index == 0 {
            shard.warnOfUnlockedSecrets()
            let ended = shared.vault.sweep(at: moment)
            if ended > 0 { shard.emit(.conversationEnded("\(ended) expired")) }
        }
        armSweep()
    }
}
