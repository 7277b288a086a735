// The carriers of one loop, which its role looks after, whichever half of the tunnel that is.
internal import Wire

/// Every carrier of a loop, by its ticket.
struct CarrierTable {
    private var byTicket: [Ticket: Carrier] = [:]

    var isEmpty: Bool { byTicket.isEmpty }
    var count: Int { byTicket.count }

    /// All of them, in no order. A copy: the table may change while somebody goes through it.
    var all: [Carrier] { Array(byTicket.values) }

    /// The carrier with this ticket, if it is still here.
    subscript(_ ticket: Ticket) -> Carrier? { byTicket[ticket] }

    /// Counts `carrier` among this loop's.
    mutating func adopt(_ carrier: Carrier) { byTicket[carrier.ticket] = carrier }

    /// Forgets `carrier`. False if it was not here.
    mutating func takeOut(_ carrier: Carrier) -> Bool { byTicket.removeValue(forKey: carrier.ticket) != nil }

    /// Whether there is one that `condition` holds for.
    func contains(where condition: (Carrier) -> Bool) -> Bool { byTicket.values.contains(where: condition) }

    /// The first one in no order that `condition` holds for.
    func first(where condition: (Carrier) -> Bool) -> Carrier? { byTicket.values.first(where: condition) }

    /// When the last of them was heard that was heard last.
    var lastHeard: Nanoseconds? { byTicket.values.lazy.map(\.lastHeard).max() }

    /// Those that are accepted and have no stream.
    var idle: Int { byTicket.values.count { $0.phase == .idle } }

    /// Streams on all of them together.
    var streams: Int {
        byTicket.values.reduce(0) { $0 + ($1.phase == .shared ? $1.sharedStreams : $1.hasStream ? 1 : 0) }
    }

    /// The time of this loop's streams is over: resets them, and ends carriers that have none in order.
    func cut() {
        for carrier in all { carrier.hasStream ? carrier.abort(.drainTimeout) : carrier.end(.orderly) }
    }
}
