// One loop's share of the server: accepts, lets newcomers prove themselves, dials targets for streams,
// and lets conversations end when they must. A loop for heavy streams accepts nobody.
internal import Codec
internal import Glibc
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

/// The server on one loop. Not thread-safe.
final class ServerRole: CarrierPasser, ServerCarrierOwner, Host, NewcomerOwner {
    let shard: Shard
    let shared: ServerShared
    let loops: Loops<ServerRole>
    private let sockets: [ListeningSocket]
    /// What holds on this loop.
    private(set) var roster: Roster
    private var connectionLimit: Int

    private var listeners: [Listener] = []
    private var newcomers: [Ticket: Newcomer] = [:]
    private var carriers = CarrierTable()
    /// Those that streams share.
    private var trunks = Trunks()
    /// What each device may cost, as long as it has carriers here.
    private var allowances = Allowances()
    /// What new carriers still have to say.
    private var confirmations = Confirmations()
    private var keeper: ConversationKeeper?
    /// No carrier will come from another loop any more.
    private var everybodyDrained = false

    /// `loops` are all of this server, this one included.
    init(_ shared: ServerShared, sockets: [ListeningSocket], shard: Shard, loops: Loops<ServerRole>) {
        self.shared = shared
        self.shard = shard
        self.loops = loops
        self.sockets = sockets
        roster = shared.roster
        connectionLimit = Self.share(of: roster, loops)
    }

    private static func share(of roster: Roster, _ loops: Loops<ServerRole>) -> Int {
        max(1, roster.settings.common.maxConnections / loops.pairs)
    }

    /// False if a later roster holds already.
    func replaceRoster(by roster: Roster) -> Bool {
        guard roster.version > self.roster.version else { return false }
        self.roster = roster
        connectionLimit = Self.share(of: roster, loops)
        keeper?.adopt(roster.settings.conversation)
        return true
    }

    // MARK: Role

    func begin() {
        listeners = sockets.map { Listener($0, on: shard, for: self) }
        for listener in listeners { listener.open() }
        let keeper = ConversationKeeper(shared, roster.settings.conversation, on: shard) { [unowned self] in
            carriers.all.filter { !confirmations.awaits($0) }
        }
        self.keeper = keeper
        if shard.index == 0 { shard.warnOfUnlockedSecrets() }
    }

    func drain() {
        for listener in listeners { listener.close() }
        listeners = []
        for newcomer in Array(newcomers.values) { newcomer.turnAway("draining") }
        for carrier in carriers.all { carrier.retire() }
        if carriers.streams > 0 { shard.emit(.draining(streams: carriers.streams)) }
        loops.beginsDraining()
    }

    func everybodyDrains() { everybodyDrained = true }

    func cut() {
        if carriers.streams > 0 { shard.emit(.cut(streams: carriers.streams)) }
        carriers.cut()
    }

    func gauge(_ counters: inout Counters) { counters.carriersIdle = carriers.idle }

    var isFinished: Bool { everybodyDrained && carriers.isEmpty && newcomers.isEmpty }

    // MARK: Newcomers

    var mayAccept: Bool {
        newcomers.count + carriers.count + loops.carriersAway(ofPairWith: shard.index) < connectionLimit
    }

    func accepted(_ fd: Int32, from address: SocketAddress, by listener: Listener) {
        guard let endpoint = shard.poller.add(fd: fd) else { return }
        let newcomer = Newcomer(endpoint, from: address, shared, owner: self)
        newcomers[newcomer.ticket] = newcomer
        newcomer.begin()
    }

    func turnedAway(_ newcomer: Newcomer) { newcomers[newcomer.ticket] = nil }

    func newcomer(
        _ newcomer: Newcomer, proved peer: Peer, _ link: Endpoint, _ keys: consuming CarrierKeys,
        storing conversation: consuming Conversation?, confirmBy limit: Nanoseconds
    ) {
        newcomers[newcomer.ticket] = nil
        let carrier = Carrier(
            side: .server, link: link, keys: keys, phase: .confirming, peer: peer, timings: roster.timings,
            shard: shard, owner: self)
        confirmations.expect(carrier, from: newcomer.address, storing: conversation, by: limit)
        adopt(carrier)
        carrier.advance()
    }

    /// Counts `carrier` among this loop's.
    func adopt(_ carrier: Carrier) {
        carriers.adopt(carrier)
        let device = carrier.peer.device
        carrier.allowance.budget = roster.budgets[device]
        allowances.add(carrier)
        keeper?.isNeeded()
    }

    /// That of the device's other carriers here, if it has any.
    func allowance(of peer: Peer) -> Allowance { allowances.allowance(of: peer.device) }

    func letGo(_ carrier: Carrier) { _ = takeOut(carrier) }

    /// Takes `carrier` out of every list there is. False if it was in none.
    private func takeOut(_ carrier: Carrier) -> Bool {
        guard carriers.takeOut(carrier) else { return false }
        allowances.remove(carrier)
        confirmations.take(carrier)
        trunks.remove(carrier)
        return true
    }

    func stays(_ carrier: Carrier) {}

    /// Every carrier here.
    var everyCarrier: [Carrier] { carriers.all }

    /// Every carrier here, and those that streams share, for tests that know which may be where.
    var register: (all: [Carrier], shared: [Carrier]) { (carriers.all, trunks.all) }
    /// Devices that have carriers here.
    var devicesHere: Int { allowances.count }
    /// Connections that have not proved themselves.
    var newcomersHere: Int { newcomers.count }

    // MARK: CarrierOwner

    func carrierConfirmed(_ carrier: Carrier) {
        keeper?.isNeeded()
        guard let confirmation = confirmations.take(carrier) else { return }
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
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress]
    ) {
        let device = place(of: carrier)
        if case .noRoom(let why) = failure {
            return shard.emit(.streamTurnedDown(service, device: device, why))
        }
        let route = roster.route(service, for: carrier.peer.device)
        shard.emit(
            .targetFailed(
                service, target: route?.inWords(trying: tried) ?? "?", device: device,
                failure.text(limit: route?.limit)))
    }

    /// Whose carrier this is and where that device is, for the log.
    private func place(of carrier: Carrier) -> DevicePlace {
        DevicePlace(
            name: roster.name(of: carrier.peer.device),
            address: carrier.link.endpoint.isOpen ? SocketAddress(peerOf: carrier.link.endpoint.fd)?.text : nil)
    }

    /// Begins the stream `number`, which is a use of the conversation. One that has a stream besides is in use, whenever
    /// somebody last came by to note that.
    private func begin(_ number: UInt64, on carrier: Carrier) -> StreamBeginning {
        let id = carrier.peer.conversation
        let beginning = shared.vault.begin(stream: number, in: id, at: shard.moment, isInUse: false)
        guard case .tooLate = beginning else { return beginning }
        return trunks.isInUse(besidesOneOn: carrier)
            ? shared.vault.begin(stream: number, in: id, at: shard.moment, isInUse: true) : .tooLate
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
        if shard.isDraining || !shared.vault.isLive(carrier.peer.conversation, at: shard.moment) { carrier.retire() }
    }

    func carrierIsShared(_ carrier: Carrier) { trunks.add(carrier) }

    /// The carrier with this ticket, if it is still here.
    func carrier(_ ticket: Ticket) -> Carrier? { carriers[ticket] }

    /// The stream with this number on a shared carrier of the conversation.
    func sharedStream(_ number: UInt64, of conversation: ConversationID) -> SharedStream? {
        trunks.stream(number, of: conversation)
    }

    func carrierLostStream(_ carrier: Carrier) { shared.vault.touch(carrier.peer.conversation, at: shard.moment) }

    func carrierSaidBye(_ carrier: Carrier) {
        let id = carrier.peer.conversation
        // Every shard of the client says so.
        defer { carrier.end(.orderly) }
        guard shared.vault.isLive(id, at: shard.moment) else { return }
        shared.vault.remove(id)
        shard.emit(.conversationEnded("device \(roster.name(of: carrier.peer.device)) logged off"))
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

    private func endCarriers(of conversation: ConversationID) {
        for carrier in carriers.all where carrier.belongs(to: conversation) {
            // The end of a stream that is here may have come already without having been read.
            carrier.hasStream ? carrier.retire() : carrier.end(.orderly)
        }
    }

    /// There may be something to sweep earlier than the first loop knows of.
    private func sweepInTime() {
        guard shard.index != 0 else {
            keeper?.sweepInTime()
            return
        }
        loops.doors[0].send { $0.keeper?.sweepInTime() }
    }
}
