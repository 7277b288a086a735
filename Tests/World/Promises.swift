// What has to be true whatever happens. A broken promise ends the day.
import CWorld

/// The promises of one day.
struct Promises {
    /// Nothing breaks today but what the parties break themselves.
    var isCalm = false
    /// What may be under way in one direction of one stream: buffers of three connections, windows, and regions.
    var mostUnderWay = 0

    func broken(_ what: String, _ party: Party) {
        cw_list_connections()
        cw_fail("\(what): \(party.account); peer: \(party.peer?.account ?? "none")")
    }

    /// Buffers are bounded.
    func bounded(_ underWay: Int, _ party: Party) {
        if underWay > mostUnderWay { broken("\(underWay) bytes are under way", party) }
    }

    /// A stream goes to one target, of the service that was asked for, for a device that may use it.
    func paired(_ a: Party, _ b: Party) {
        let app = a.role == .app ? a : b
        let target = a.role == .app ? b : a
        if let other = app.peer, other !== target { broken("an application has two targets", app) }
        if let other = target.peer, other !== app { broken("a target hears two applications", target) }
        if let other = app.exchange?.target, other !== target { broken("a stream came to two targets", app) }
        guard let exchange = app.exchange else { return }
        if exchange.service != target.service { broken("a stream came to another service", app) }
        if !Service.all[exchange.service].isFor(exchange.device) { broken("a device may not use this service", app) }
    }

    /// An orderly end is seen only where the other one closed, and behind its last byte.
    func endedInOrder(_ party: Party, _ peer: Party) {
        if !peer.hasFinished || peer.hasReset { broken("an orderly end that nobody said", party) }
        if party.received != peer.sent {
            broken("an orderly end behind \(party.received) of \(peer.sent) bytes", party)
        }
    }

    /// An orderly end before any byte: nobody sends nothing in order here.
    func endedEmpty(_ party: Party) { broken("an orderly end before any byte", party) }

    /// On a calm day everybody gets everything.
    func completed(_ app: Party) {
        guard isCalm, let exchange = app.exchange, exchange.script.isOrderly, Service.all[exchange.service].works else {
            return
        }
        guard Service.all[exchange.service].isFor(exchange.device) else { return }
        guard case .end? = app.ending, let target = app.peer, target.received == app.sent else {
            return broken("nothing broke, and an exchange is incomplete", app)
        }
    }
}

/// A service as this world has it.
struct Service {
    let name: String
    /// Its streams have carriers of their own from the first byte.
    let isOwn: Bool
    /// The device that may use it alone; nil: both.
    let device: Int?
    /// Somebody listens at its target.
    let works: Bool

    func isFor(_ device: Int) -> Bool { self.device == nil || self.device == device }

    static let all = [
        Service(name: "shared", isOwn: false, device: nil, works: true),
        Service(name: "own", isOwn: true, device: nil, works: true),
        Service(name: "first", isOwn: false, device: 0, works: true),
        Service(name: "second", isOwn: false, device: 1, works: true),
        Service(name: "down", isOwn: false, device: nil, works: false),
    ]
}
