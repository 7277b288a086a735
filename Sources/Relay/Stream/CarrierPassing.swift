// How a carrier goes from one loop of its pair to the other: the object stays behind, closed; what it had goes by
// letter and is continued by a new one. Bytes that were received or encoded go along in their buffers, so it may
// happen in the middle of anything.
internal import Codec
internal import Glibc
internal import Wire

/// A carrier on its way to another loop. Whoever drops it without having continued it closes its sockets, the
/// application's with a reset.
///
/// Unchecked: it has one owner at a time, who gives it up when it gives it away.
final class CarrierParcel: @unchecked Sendable {
    fileprivate let carrier: Carrier
    fileprivate let phase: Carrier.Phase
    fileprivate var keys: CarrierKeys?
    fileprivate var link: DetachedSocket?
    fileprivate let hasStream: Bool
    fileprivate var app: DetachedSocket?
    fileprivate var isTaken = false

    fileprivate init(
        _ carrier: Carrier, _ phase: Carrier.Phase, _ keys: consuming CarrierKeys?, _ link: consuming DetachedSocket,
        _ app: consuming DetachedSocket?
    ) {
        self.carrier = carrier
        self.phase = phase
        self.keys = keys
        self.link = consume link
        hasStream = app != nil
        self.app = app
    }

    deinit {
        guard !isTaken else { return }
        if let region = carrier.out { RegionPool.discard(region) }
        if let region = carrier.inbound { RegionPool.discard(region) }
    }
}

extension Carrier {
    /// Turns that a stream uses up to the last byte before it counts as heavy.
    private static var heavyTurns: Int { 4 }
    /// A stream that moved less than this between two heartbeats is light again.
    private static var lightBytes: UInt64 { 1 << 20 }

    /// The stream had its share of this turn, and there is more.
    func usedUpTurn() {
        shard.again(self)
        // Counts no further than it is asked for: a loop that drains passes nothing on, however long it goes on.
        guard shard.kind == .light, phase == .streaming, turnsUsedUp < Self.heavyTurns else { return }
        turnsUsedUp += 1
        if turnsUsedUp == Self.heavyTurns { isMisplaced = true }
    }

    /// The heartbeat judges the stream anew.
    func weighStream() {
        turnsUsedUp = 0
        let bytes = bytesSoFar
        if shard.kind == .heavy, phase == .streaming, bytes &- bytesWeighed < Self.lightBytes { isMisplaced = true }
        bytesWeighed = bytes
    }

    /// Asks the owner to pass this carrier on, if it can be now.
    func leaveForOtherLoop() {
        guard phase == .streaming || phase == .idle, !linkIsGone, withdrawing == nil else { return }
        isMisplaced = false
        owner.carrierIsMisplaced(self)
    }

    /// Takes the carrier off its loop; its owner must have forgotten it already.
    func pack() -> CarrierParcel {
        precondition(phase == .streaming || phase == .idle, "nobody may wait for a carrier that is packed")
        precondition(!hasRecords && lastWord == nil, "nothing else is under way on a carrier that is packed")
        heartbeat?.cancel()
        heartbeat = nil
        rest?.cancel()
        rest = nil
        breakLook?.cancel()
        breakLook = nil
        if app != nil { shard.counters.streamsOpen -= 1 }
        shard.counters.carriersOpen -= 1
        shard.counters.passes &+= 1
        for region in [out, inbound] where region != nil { shard.regions.givenAway() }
        let parcel = CarrierParcel(
            self, phase, keys.take(), link.detach(resetting: false), app?.detach(resetting: true))
        phase = .closed
        app = nil
        return parcel
    }

    /// Continues on `shard` what is in `parcel`. Nil, and the stream broken, if the kernel refuses to watch its sockets.
    convenience init?(continuing parcel: CarrierParcel, on shard: Shard, owner: any CarrierOwner) {
        let old = parcel.carrier
        guard let keys = parcel.keys.take(), let link = parcel.link.take()?.adopt(on: shard.poller) else {
            Self.couldNotContinue(parcel, on: shard)
            return nil
        }
        let app = parcel.app.take()?.adopt(on: shard.poller)
        guard app != nil || !parcel.hasStream else {
            link.close()
            Self.couldNotContinue(parcel, on: shard)
            return nil
        }
        parcel.isTaken = true
        self.init(
            side: old.side, link: link, keys: keys, phase: parcel.phase, peer: old.peer, timings: old.timings,
            shard: shard, owner: owner)
        for region in [old.out, old.inbound] where region != nil { shard.regions.received() }
        adoptState(of: old)
        if let app {
            self.app = app
            app.driver = self
            shard.counters.streamsOpen += 1
        }
        bytesWeighed = bytesSoFar
    }

    private func adoptState(of old: Carrier) {
        service = old.service
        route = old.route
        lastOpened = old.lastOpened
        place = old.place.take()
        out = old.out
        outStart = old.outStart
        outEnd = old.outEnd
        due = old.due
        opening = old.opening
        handing = old.handing
        sentTotal = old.sentTotal
        sourceEnded = old.sourceEnded
        inbound = old.inbound
        parsed = old.parsed
        filled = old.filled
        vectorFirst = old.vectorFirst
        vectorEnd = old.vectorEnd
        carried = old.carried
        receivedTotal = old.receivedTotal
        finReceived = old.finReceived
        finDelivered = old.finDelivered
        closedReceived = old.closedReceived
        lastHeard = old.lastHeard
        sentAtHeartbeat = old.sentAtHeartbeat
        adoptRetirement(of: old)
        swap(&rekey, &old.rekey)
        carriedBytes = old.carriedBytes
    }

    /// The parcel's sockets, or what is left of them, are closed by now or with it.
    private static func couldNotContinue(_ parcel: CarrierParcel, on shard: Shard) {
        guard parcel.hasStream else { return }
        shard.counters.brokenStreams += 1
        shard.emit(.streamBroken(parcel.carrier.service, "the kernel watches no further socket"))
    }
}

/// A role that keeps the carriers of its loop, and passes those that belong there to the other loop of its pair.
protocol CarrierPasser: Role {
    var shard: Shard { get }
    /// Who looks after the carriers of this loop.
    var carrierOwner: any CarrierOwner { get }
    /// All of this daemon's.
    var loops: Loops { get }
    /// Counts `carrier` among this loop's.
    func adopt(_ carrier: Carrier)
    /// Takes `carrier`, which is about to leave, out of every list there is.
    func letGo(_ carrier: Carrier)
    /// `carrier` has no stream and cannot leave after all.
    func stays(_ carrier: Carrier)
    /// `carrier` came from the other loop and has been adopted; it may be closed or passed on from here, and advances
    /// afterwards otherwise.
    func takesOver(_ carrier: Carrier)
}

extension CarrierPasser where Self: CarrierOwner {
    var carrierOwner: any CarrierOwner { self }
}

extension CarrierPasser {
    func carrierIsMisplaced(_ carrier: Carrier) {
        guard let partner = loops.partner(of: shard.index), !shard.isDraining else {
            if carrier.phase == .idle { stays(carrier) }
            return
        }
        letGo(carrier)
        if shard.kind == .light {
            loops.goesAway(fromPairWith: shard.index)
        } else {
            loops.isBack(inPairWith: shard.index)
        }
        let parcel = carrier.pack()
        partner.post { ($0.role as? any CarrierPasser)?.take(parcel) }
    }

    /// A carrier comes from the other loop.
    private func take(_ parcel: CarrierParcel) {
        guard let carrier = Carrier(continuing: parcel, on: shard, owner: carrierOwner) else {
            if shard.kind == .heavy { loops.isBack(inPairWith: shard.index) }
            return
        }
        adopt(carrier)
        guard !shard.isCut || carrier.phase == .idle else { return carrier.abort(.draining, "drain time-out") }
        takesOver(carrier)
        if carrier.phase != .closed { carrier.advance() }
    }
}
