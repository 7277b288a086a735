// The parts of a client's loop by the names that tests have for them.
@testable import Relay

extension ClientRole {
    var carriers: [Ticket: Carrier] { upstream.carriers.all }
    var trunk: Carrier? { upstream.carriers.trunk }
    var dials: [Ticket: CarrierDial] { upstream.dials.underWay }
    var doubts: Doubts { upstream.doubts }
    var idleCarriers: Int { pool.count }

    var pool: CarrierPool {
        get { upstream.carriers.pool }
        set { upstream.carriers.pool = newValue }
    }

    /// Every carrier here, those that wait for a stream, and those that streams share.
    var register: (all: [Carrier], idle: [Carrier], shared: [Carrier]) {
        let carriers = upstream.carriers
        return (
            Array(carriers.all.values), carriers.pool.all, (carriers.trunk.map { [$0] } ?? []) + carriers.formerTrunks
        )
    }

    func suspect(_ carrier: Carrier) { doubts.suspect(carrier) }
    func expectWord(of carrier: Carrier) { doubts.expectWord(of: carrier) }
}

extension Doubts {
    var heldCount: Int { openings.heldCount }
    var unasked: Set<UInt64> { openings.unasked }
}
