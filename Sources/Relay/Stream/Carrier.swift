// A carrier: one TCP connection between the daemons that has proved both ends, and the stream it
// carries at the moment, if any. A stream is two pipes that know nothing of each other:
//
//   application -> CarrierSending.swift:   read, frame, encode, send   -> link
//   link        -> CarrierReceiving.swift: receive, decode, check, write -> application
//
// A shared carrier has many streams instead (CarrierSharing.swift). This file holds the state, the order of the
// phases, and every way to end.
internal import Codec
internal import Glibc
internal import Pairing
internal import Settings
internal import Wire

/// How a carrier ended.
enum CarrierEnd {
    /// In order: idle, or after its stream was complete.
    case orderly
    /// The stream was given up, by one of the applications or by refusal: the carrier went with it.
    case streamBroken(StreamFault)
    /// The link broke, the peer vanished, or it said something it must not.
    case lost(Fault)
}

/// One carrier. Not thread-safe: it belongs to one shard.
final class Carrier: LastingDriver, TurnEnder, Sleeper {
    typealias Phase = WorkKind

    let side: Side
    /// What it is called in tables and letters.
    let ticket = Ticket()
    /// Whose carrier this is.
    let peer: Peer
    let timings: CarrierTimings
    /// Strong, like `owner`, because a constant of a class is used without counting references. The circle is
    /// broken when the carrier closes, and a shard ends only when all of its carriers have.
    let shard: Shard
    let owner: any CarrierOwner
    /// Its connection: a constant, so that using it counts no references.
    let endpoint: Endpoint
    /// What lies on it: keys, frames, buffers. Accesses need no check at run time: nothing that works on the link can call back.
    @exclusivity(unchecked) var link: Link
    /// When the carrier was opened.
    let since: Nanoseconds
    /// The application's connection (client) or the target's (server), while a stream is open.
    var app: Endpoint?
    /// What its work may cost in a turn. A server gives all carriers of a device the same.
    let allowance: Allowance
    /// Its device owes time: the link is read again then.
    @exclusivity(unchecked) var rest: Timer?
    /// The next look at whether the rest of a broken stream still moves.
    var breakLook: Timer?
    var phase: Phase
    /// The service of the current or last stream, for logs.
    var service: ServiceID?
    /// The number of the last OPEN that came as a frame (server only).
    var lastOpened: UInt64 = 0
    /// Its stream's place in what the device may have (server only).
    var place: StreamPlace?
    /// Where streams of the service last asked for go; this device may use it (server only).
    var route: Route?
    /// The connecting to the target, while it is under way (server only).
    var dial: Dial?
    /// The streams of a shared carrier.
    var sharing: Sharing?
    /// The stream that comes from a shared carrier (client only), and how far it will have come there.
    var moving: SharedStream?
    var movedTo: StreamProgress?
    /// What MOVE asked for, until it is answered (server only).
    var asked: MoveMessage?

    /// A question about streams of other carriers that is being asked or answered.
    var withdrawing: Withdrawing?
    /// Whether the server is still believed to be at the other end (client only).
    var trust = Trust.trusted(.none)

    // The pipe from the application to the link. `out` holds encoded frames not yet sent.
    var opening: OpenMessage?
    /// What was read from the application before the server has said a word of the stream (client).
    var first: FirstBytes?
    /// MOVE or MOVED waits for room.
    var handing: Handing?
    /// What is said behind everything else before the carrier leaves, and how it will have ended.
    var lastWord: (type: FrameType, reason: CloseReason)?
    var verdict: CarrierEnd = .orderly
    /// When bytes last left for the link or for the application.
    @exclusivity(unchecked) var movedAt: Nanoseconds
    /// Since when it has waited for a stream, or for the rest of it.
    var movingSince: Nanoseconds = 0
    /// The account of the present or last stream of its own. Accesses need no check at run time: it calls nobody.
    @exclusivity(unchecked) var ledger = StreamLedger()

    // The pipe from the link to the application. `inbound` holds received bytes: before `parsed` they
    // are decoded, from there to `filled` they are not. Decoded plaintext waits in the vectors.
    var vectorFirst = 0
    var vectorEnd = 0
    /// Frames that may still be decoded in this turn.
    @exclusivity(unchecked) var framesLeft = 0
    /// A bundle whose records are being looked at: the rest lies at these places of the region.
    @exclusivity(unchecked) var bundleNext = 0
    @exclusivity(unchecked) var bundleEnd = 0
    /// Holds the plaintext that a stream brought along, until it is written.
    var carried: MovingStream?
    /// The server said CLOSED (client only).
    var closedReceived = false

    // The link's health.
    var heartbeat: Timer?
    /// It takes no further stream.
    private(set) var isRetiring = false
    /// Since when.
    private(set) var retiredAt: Nanoseconds = 0
    /// The server said LEAVING (client only).
    private(set) var leavingHeard = false
    /// How many application connections its end reset, once it is closed.
    private(set) var streamsReset = 0
    /// The link ended after the stream was complete; only the last bytes are still to be written.
    var linkIsGone = false

    // REKEY.
    var rekeyLimits = RekeyLimits()
    /// The stream has ended here, and the client may not have known that yet when it offered: one offer of it may still
    /// come (server only).
    var mayOfferLate = false
    /// Stream bytes, both ways, of the streams before this one.
    var carriedBytes: UInt64 = 0

    // Which loop of its pair it should be on (CarrierPassing.swift). Both end with the stream that they were found of.
    var isMisplaced = false
    var turnsUsedUp = 0
    /// Stream bytes, both ways, as of the last heartbeat.
    var bytesWeighed: UInt64 = 0

    var isDueAgain = false
    private var isAdvancing = false
    private var advanceOnceMore = false

    /// Takes over `link`, whose handshake is done.
    convenience init(
        side: Side, link: Endpoint, keys: consuming CarrierKeys, phase: Phase, peer: Peer,
        timings: CarrierTimings, shard: Shard, owner: any CarrierOwner
    ) {
        self.init(
            side: side, Link(link, keys, now: shard.now), phase: phase, peer: peer, timings: timings, shard: shard,
            owner: owner)
    }

    /// Takes over `link`.
    init(
        side: Side, _ link: consuming Link, phase: Phase, peer: Peer, timings: CarrierTimings, shard: Shard,
        owner: any CarrierOwner
    ) {
        self.side = side
        self.peer = peer
        endpoint = link.endpoint
        self.link = link
        self.phase = phase
        self.timings = timings
        self.shard = shard
        self.owner = owner
        allowance = owner.allowance(of: peer)
        since = shard.now
        movedAt = shard.now
        rekeyLimits.begin(now: shard.now, timings)
        shard.counters.carriersOpen += 1
        endpoint.driver = self
        armHeartbeat()
    }

    /// Control frames that wait for room.
    var due: DueFrames {
        get { link.due }
        set { link.due = newValue }
    }
    /// When the last frame was verified.
    var lastHeard: Nanoseconds { link.lastHeard }

    /// Whether an application's connection is open here, or about to be.
    var hasStream: Bool { app != nil || phase == .dialing || phase == .moving || sharedStreams > 0 }

    /// Whether a stream is open here that the peer must know as open, too.
    var hasUnendedStream: Bool {
        guard let sharing else { return hasStream && !ledger.hasEnded }
        return sharing.streams.values.contains { !$0.hasEnded }
    }

    func belongs(to conversation: ConversationID?) -> Bool { peer.conversation == conversation }

    // MARK: Going on

    /// Does whatever can be done now, in both directions, but not for longer than a fair share.
    func advance() {
        // A call from within (an owner that starts the next stream at once) is done at the end.
        guard !isAdvancing else {
            advanceOnceMore = true
            return
        }
        isAdvancing = true
        defer { isAdvancing = false }
        repeat {
            advanceOnceMore = false
            guard phase != .leaving else {
                discard()
                return
            }
            guard phase != .departing else { return depart() }
            guard phase != .closed, applicationIsWell() else { return }
            // Nothing follows MOVE, so the link is not being read.
            if phase == .moving, side == .server, link.hungUp { return lost(.link(.closed)) }
            guard receive(), transmit() else { return }
            rekeyIfDue()
            guard link.isEmpty, link.due.isEmpty else { continue }
            if hasLeftShared {
                guard owner.logsOff(on: self) else { return leave() }
                link.due.insert(.bye)
                advanceOnceMore = true
            }
        } while advanceOnceMore
        if link.failed { watchBreak() }
        if isMisplaced { leaveForOtherLoop() }
    }

    /// Whether the application's connection may still be used. One that broke is read to its end first, because what
    /// it sent before is all there is; only where nothing is read any more is the error asked for.
    private func applicationIsWell() -> Bool {
        guard let app, app.failed else { return true }
        guard ledger.hasSentFin else {
            watchBreak()
            return true
        }
        app.failed = false
        let error = app.brokenBy != 0 ? app.brokenBy : app.takeError()
        // EPIPE says that bytes cannot be written any more; what it sent may still be read.
        if error != 0 { applicationBroke(error) }
        return phase != .closed && phase != .departing
    }

    // MARK: Streams

    /// Opens a stream for the application connection `app`, which begins with `first` if it was refused before (client,
    /// idle only). OPEN and what the application has already sent leave together.
    func open(_ message: OpenMessage, for app: Endpoint, beginning first: FirstBytes? = nil) {
        mustBeIdle()
        beginStream(message.service, app)
        self.first = first ?? FirstBytes(message, now: shard.now)
        opening = message
        phase = .streaming
        advance()
    }

    /// A carrier that has a stream, or none of its own any more, must never be given one.
    func mustBeIdle() { precondition(phase == .idle, "a stream begins on an idle carrier only") }

    /// The target is connected (server, dialing only).
    func connected(_ target: Endpoint) {
        beginStream(service, target)
        phase = .streaming
        link.lastHeard = shard.now
        advance()
    }

    private func beginStream(_ service: ServiceID?, _ app: Endpoint) {
        self.service = service
        self.app = app
        app.driver = self
        // A socket that was just accepted or connected can be written: trying costs less than waiting for
        // epoll to say so. An application has mostly sent something by now; a target seldom speaks first,
        // and if it has, its flags say so.
        if side == .client { app.readable = true }
        app.writable = true
        carriedBytes &+= ledger.sent &+ ledger.received
        ledger = StreamLedger()
        closedReceived = false
        turnsUsedUp = 0
        shard.counters.streams += 1
        shard.counters.streamsOpen += 1
    }

    /// Called whenever one direction has ended; the stream is over when both have.
    func directionEnded() {
        guard ledger.isDone, let app else { return }
        app.close()
        self.app = nil
        first = nil
        shard.counters.streamsOpen -= 1
        guard !linkIsGone else { return end(.orderly) }
        switch side {
        case .server:
            link.due.insert(.closed)
            mayOfferLate = true
            becomeIdle()
        case .client:
            phase = .finishing
            if closedReceived { becomeIdle() }
        }
    }

    /// The stream is over at both ends, or never came here. What was found of it does not hold for the next.
    func becomeIdle() {
        phase = .idle
        isMisplaced = false
        turnsUsedUp = 0
        place = nil
        owner.carrierIsIdle(self)
    }

    // MARK: Ending

    /// The service cannot be had (server, dialing only): says why and closes.
    func refuse(_ reason: CloseReason) {
        giveUp(.refused, .refused(reason))
    }

    /// Ends the stream abnormally and the carrier with it; the far application sees a reset.
    func abort(_ fault: StreamFault) { giveUp(.abort, fault) }

    /// The application's connection broke.
    func applicationBroke(_ error: Int32) {
        abort(side == .client ? .application(error) : .target(error))
    }

    /// Parts from the application. What it has sent leaves before the last word does, and the carrier behind both.
    private func giveUp(_ type: FrameType, _ fault: StreamFault) {
        guard phase != .closed, phase != .departing, phase != .leaving else { return }
        // A shared carrier's streams end with it; their records so far are before its last word.
        guard !linkIsGone, !shard.isCut, endpoint.brokenBy == 0, phase != .confirming, sealBundle() else {
            sayLastWord(type, ReasonMessage(reason: fault.reason))
            return end(.streamBroken(fault))
        }
        // The server has not heard of a stream whose OPEN never left.
        if opening == nil { lastWord = (type, fault.reason) }
        opening = nil
        handing = nil
        verdict = .streamBroken(fault)
        phase = .departing
        movedAt = shard.now
        partFromStreams(verdict)
        releaseInbound()
        heartbeat?.cancel()
        armHeartbeat()
        link.rekey = RekeyState()
        shard.again(self)
    }

    /// Sends what is left, the last word behind it, and leaves.
    private func depart() {
        guard discard() else { return }
        while true {
            while !link.isEmpty {
                guard endpoint.writable else { return }
                guard sendSome() else {
                    if endpoint.brokenBy != 0 { end(verdict) }
                    return
                }
            }
            guard let (type, reason) = lastWord.take() else { break }
            guard ensureOut() else { return }
            link.rewind()
            ReasonMessage(reason: reason).write(to: link.payloadPlace)
            guard encode(type, ReasonMessage.size) else { return }
        }
        releaseOut()
        leave()
    }

    /// The peer broke a rule, or a frame was not authentic: nothing more is decoded, and a carrier that was idle did
    /// not end in order either.
    func violated(_ fault: PeerFault) { end(.lost(.peer(fault))) }

    /// The link broke or the peer is gone. A stream whose every byte has arrived here, and left, still
    /// gets its last bytes written; any other is reset.
    func lost(_ fault: Fault) {
        guard phase != .closed, !linkIsGone else { return }
        guard phase != .shared else { return end(mayLoseLink ? .orderly : .lost(fault), reopening: true) }
        let isComplete = ledger.hasEnded && link.isEmpty
        guard isComplete, app != nil else {
            return end(phase == .idle ? .orderly : .lost(fault), reopening: true)
        }
        linkIsGone = true
        endpoint.close()
        releaseOut()
        link.due = []
        // No event of the link will come any more, and the last bytes may already be written.
        shard.again(self)
    }

    /// Closes everything; an application connection that is still there gets what has arrived for it and is reset then,
    /// because not every byte has arrived or left. `reopening`: streams of which the server has said nothing may begin
    /// anew.
    func end(_ how: CarrierEnd, reopening: Bool = false) {
        guard phase != .closed else { return }
        let brokenBefore = shard.counters.brokenStreams
        phase = .closed
        partFromStreams(how, reopening: reopening && side == .client && !shard.isCut)
        heartbeat?.cancel()
        rest?.cancel()
        rest = nil
        breakLook?.cancel()
        breakLook = nil
        if case .orderly = how { link.close(inOrder: true) } else { link.close(inOrder: false) }
        releaseOut()
        releaseInbound()
        link.forgetKeys()
        shard.counters.carriersOpen -= 1
        streamsReset = Int(shard.counters.brokenStreams &- brokenBefore)
        owner.carrierClosed(self, how)
    }

    /// Lets go of every stream that is here or was about to come.
    private func partFromStreams(_ how: CarrierEnd, reopening: Bool = false) {
        let first = first.take()
        if reopening, let first, let app, app.brokenBy == 0 {
            self.app = nil
            app.driver = nil
            shard.counters.streamsOpen -= 1
            first.didNotBegin(.withdrawn)
            // Its OPEN may still be here.
            if opening != nil {
                owner.atClient?.carrier(self, givesBack: app, first, .withdrawn)
            } else {
                owner.atClient?.carrier(self, loses: app, first)
            }
        } else if let app {
            self.app = nil
            shard.counters.streamsOpen -= 1
            shard.counters.brokenStreams += 1
            Farewell.say(to: app, undelivered(), of: place, on: shard)
        }
        place = nil
        dial?.cancel()
        dial = nil
        let wasMoving = moving
        moving = nil
        endSharing(how, reopening: reopening)
        wasMoving?.abort(.moveBroke)
    }

    /// Takes no further stream. A server says so, serves those that the client opened before it heard of that, and
    /// leaves closing to the client. A client closes in order when no stream is left.
    func retire() {
        guard !isRetiring, phase != .closed, phase != .departing, phase != .leaving else { return }
        isRetiring = true
        retiredAt = shard.now
        if side == .server { link.due.insert(.leaving) }
        if phase == .shared { return flushSoon() }
        if side == .client, phase == .idle { return end(.orderly) }
        advance()
    }

    /// Goes on retiring where `old` did.
    func adoptRetirement(of old: Carrier) {
        isRetiring = old.isRetiring
        retiredAt = old.retiredAt
        leavingHeard = old.leavingHeard
    }

    /// LEAVING came (client).
    func handleLeaving() {
        leavingHeard = true
        owner.atClient?.carrierLeaves(self)
    }

    private func leave() {
        phase = .leaving
        movedAt = shard.now
        endpoint.shutdownWrite()
        heartbeat?.cancel()
        armHeartbeat()
        shard.again(self)
    }

    /// Reads and forgets some of what still comes from the peer. False, and the carrier closed, behind its FIN.
    @discardableResult private func discard() -> Bool {
        guard endpoint.readable, let region = shard.regions.take() else { return true }
        defer { shard.regions.put(region) }
        for _ in 0..<roundsPerTurn where endpoint.readable {
            switch endpoint.read(region, RegionSize.receive) {
            case .moved: continue
            case .blocked: return true
            case .ended, .failed:
                end(verdict)
                return false
            }
        }
        if endpoint.readable { shard.again(self) }
        return true
    }

    /// Logs off (client, without a stream) and closes.
    func sayBye() {
        if phase == .shared, sharedStreams == 0 {
            // The last stream's bytes may still be here.
            link.due.insert(.bye)
            return retire()
        }
        if phase == .idle { sayLastWord(.bye, nil) }
        end(.orderly)
    }
}
