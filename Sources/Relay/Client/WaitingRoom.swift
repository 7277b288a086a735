// Application connections that were accepted while no carrier was ready. They are held, not failed: at
// most so many, and none longer than its deadline.
internal import DequeModule
internal import Wire

/// An application connection on its way to a carrier.
struct Application {
    let endpoint: Endpoint
    let service: ServiceID
    let source: SourceAddress
    /// Its stream may share a carrier with others.
    let shares: Bool
    /// What it sent to a server that refused it because the conversation was over.
    var first: FirstBytes?

    init(endpoint: Endpoint, service: ServiceID, source: SourceAddress, shares: Bool) {
        self.endpoint = endpoint
        self.service = service
        self.source = source
        self.shares = shares
    }

    /// The application of a stream that did not begin, though it was opened with `first`.
    init(_ endpoint: Endpoint, _ first: FirstBytes, shares: Bool) {
        self.init(endpoint: endpoint, service: first.service, source: first.source, shares: shares)
        self.first = first
    }
}

/// The waiting applications of one shard, first come, first served.
struct WaitingRoom {
    private struct Seat {
        let application: Application
        let deadline: Nanoseconds
    }
    private var seats: Deque<Seat> = []

    var count: Int { seats.count }
    /// How many of them want a carrier of their own.
    private(set) var unshared = 0
    var isEmpty: Bool { seats.isEmpty }
    /// Carriers that they need: those who share need one between them.
    var carriers: Int { unshared + (count > unshared ? 1 : 0) }
    /// When the first one's patience ends.
    var nextDeadline: Nanoseconds? { seats.first?.deadline }

    mutating func enter(_ application: Application, until deadline: Nanoseconds) {
        seats.append(Seat(application: application, deadline: deadline))
        if !application.shares { unshared += 1 }
    }

    /// The one that came first.
    mutating func next() -> Application? {
        guard let application = seats.popFirst()?.application else { return nil }
        if !application.shares { unshared -= 1 }
        return application
    }

    /// The first one whose stream may share a carrier.
    mutating func nextSharing() -> Application? {
        guard count > unshared, let index = seats.firstIndex(where: \.application.shares) else { return nil }
        return seats.remove(at: index).application
    }

    /// One whose deadline has passed.
    mutating func nextOverdue(now: Nanoseconds) -> Application? {
        guard let first = seats.first, first.deadline <= now else { return nil }
        return next()
    }
}
