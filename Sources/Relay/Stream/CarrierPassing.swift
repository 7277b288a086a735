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
    fileprivate var link: PackedLink
    fileprivate let hasStream: Bool
    fileprivate var app: DetachedSocket?

    fileprivate init(
        _ carrier: Carrier, _ phase: Carrier.Phase, _ link: consuming PackedLink, _ app: consuming DetachedSocket?
    ) {
        self.carrier = carrier
        self.phase = phase
        self.link = link
        hasStream = app != nil
        self.app = app
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
        let parcel = CarrierParcel(self, phase, link.pack(shard.regions), app?.detach(resetting: true))
        phase = .closed
        app = nil
        return parcel
    }

    /// Continues on `shard` what is in `parcel`. Nil, and the stream broken, if the kernel refuses to watch its sockets.
    convenience init?(continuing parcel: CarrierParcel, on shard: Shard, owner: any CarrierOwner) {
        let old = parcel.carrier
        guard let link = parcel.link.unpack(on: shard.poller, shard.regions) else {
            Self.couldNotContinue(parcel, on: shard)
            return nil
        }
        let app = parcel.app.take()?.adopt(on: shard.poller)
        guard app != nil || !parcel.hasStream else {
            link.drop(shard.regions)
            Self.couldNotContinue(parcel, on: shard)
            return nil
        }
        self.init(
            side: old.side, link, phase: parcel.phase, peer: old.peer, timings: old.timings, shard: shard, owner: owner)
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
        opening = old.opening
        handing = old.handing
        ledger = old.ledger
        vectorFirst = old.vectorFirst
        vectorEnd = old.vectorEnd
        carried = old.carried
        closedReceived = old.closedReceived
        adoptRetirement(of: old)
        rekeyLimits = old.rekeyLimits
        mayOfferLate = old.mayOfferLate
        carriedBytes = old.carriedBytes
    }

    /// The parcel's sockets, or what is left of them, are closed by now or with it.
    private static func couldNotContinue(_ parcel: CarrierParcel, on shard: Shard) {
        guard parcel.hasStream else { return }
        shard.counters.brokenStreams += 1
        shard.emit(.streamBroken(parcel.carrier.service, .unwatched))
    }
}
