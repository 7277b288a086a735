// The carriers of one upstream on one loop: every one that is open, those that are idle, and those that streams share.
internal import Pairing

/// Where each carrier is. One function takes a carrier out of every list there is. Not thread-safe.
final class UpstreamCarriers {
    private(set) var all: [Ticket: Carrier] = [:]
    // Asked for every stream. Accesses need no check at run time: it calls nobody.
    @exclusivity(unchecked) var pool: CarrierPool
    /// The carrier that new streams share ...
    private(set) var trunk: Carrier?
    /// ... and those before it that still have some.
    private(set) var formerTrunks: [Carrier] = []

    init(_ pool: CarrierPool) { self.pool = pool }

    var isEmpty: Bool { all.isEmpty }

    /// Carriers that are neither ready for a stream nor shared, and the streams of those that are shared.
    var streams: Int {
        var count = all.count - pool.count
        if let trunk { count += trunk.sharedStreams - 1 }
        for trunk in formerTrunks { count += trunk.sharedStreams - 1 }
        return count
    }

    /// The shared carrier, if nothing uses it.
    var emptyTrunk: Carrier? { trunk?.phase == .shared && trunk?.sharedStreams == 0 ? trunk : nil }

    /// `carrier` is on this loop from now on.
    func adopt(_ carrier: Carrier) { all[carrier.ticket] = carrier }

    /// Takes `carrier` out of every list there is. False if it was in none.
    func takeOut(_ carrier: Carrier) -> Bool {
        if carrier === trunk { trunk = nil }
        formerTrunks.removeAll { $0 === carrier }
        pool.remove(carrier)
        return all.removeValue(forKey: carrier.ticket) != nil
    }

    /// Nothing new comes to `carrier` for now.
    func setAside(_ carrier: Carrier) {
        pool.remove(carrier)
        guard carrier === trunk else { return }
        trunk = nil
        formerTrunks.append(carrier)
    }

    // MARK: Sharing

    /// `carrier`, which is idle and in no list, is the one that new streams share.
    func share(_ carrier: Carrier) {
        retireTrunk()
        carrier.share()
        trunk = carrier
    }

    /// `carrier`, which was set aside, is the one that new streams share again. False if there is another by now.
    func shareAgain(_ carrier: Carrier) -> Bool {
        guard trunk == nil else { return false }
        formerTrunks.removeAll { $0 === carrier }
        trunk = carrier
        return true
    }

    /// New streams go elsewhere; the shared carrier ends when those on it have.
    func retireTrunk() {
        guard let trunk else { return }
        self.trunk = nil
        formerTrunks.append(trunk)
        trunk.retire()
    }

    // MARK: A conversation ends

    /// No new stream comes to carriers for which `isOver` holds; `part` ends those without one.
    func retire(where isOver: (Carrier) -> Bool, parting part: (Carrier) -> Void = { $0.end(.orderly) }) {
        if let trunk, isOver(trunk) { retireTrunk() }
        for carrier in pool.takeAll() where isOver(carrier) || !pool.put(carrier) { part(carrier) }
    }
}
