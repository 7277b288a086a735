// How a role passes carriers that belong to the other loop of its pair.
internal import Wire

/// A role that keeps the carriers of its loop, and passes those that belong there to the other loop of its pair.
protocol CarrierPasser: Role {
    var shard: Shard { get }
    /// What looks after the carriers of this loop.
    var carrierOwner: any CarrierOwner { get }
    /// All of this daemon's.
    var loops: Loops<Self> { get }
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
    var door: Door<Self> { loops.doors[shard.index] }

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
        // The partner is there: no loop ends before all of them drain, and this one does not yet.
        partner.send { $0.take(parcel) }
    }

    /// A carrier comes from the other loop.
    private func take(_ parcel: CarrierParcel) {
        guard let carrier = Carrier(continuing: parcel, on: shard, owner: carrierOwner) else {
            if shard.kind == .heavy { loops.isBack(inPairWith: shard.index) }
            return
        }
        adopt(carrier)
        guard !shard.isCut || carrier.phase == .idle else { return carrier.abort(.drainTimeout) }
        takesOver(carrier)
        if carrier.phase != .closed { carrier.advance() }
    }
}
