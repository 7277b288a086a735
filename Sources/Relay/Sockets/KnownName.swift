// What a daemon knows of one name: when it was found, when it was not, and how long either counts.
internal import Glibc

/// How a look-up ended.
enum LookUp: Sendable {
    /// At least one address.
    case found([SocketAddress])
    /// getaddrinfo's error and its words.
    case failed(Int32, String)
}

/// One name. A value: the resolver keeps it behind its lock.
struct KnownName {
    /// Who waits for the look-up that is under way.
    var questions: [Question.Errand] = []
    /// Since when a look-up is under way, or waits for a thread.
    var askedSince: Nanoseconds?
    /// The look-up under way is of a name that had not been found when it began.
    var isUnproven = false

    private var addresses: [SocketAddress] = []
    private var foundAt: Nanoseconds = 0
    private var failure: (at: Nanoseconds, error: Int32, words: String)?

    /// How long an answer is used without asking again.
    static let fresh: Nanoseconds = 5_000_000_000
    /// How old an answer may be that is used because no newer one can be had.
    static let usable: Nanoseconds = 3_600_000_000_000
    /// … if the name is said not to exist, which may be what a broken resolver says.
    static let usableIfDenied: Nanoseconds = 30_000_000_000
    /// How long a failure is the answer.
    static let failing: Nanoseconds = 1_000_000_000

    /// It was found once.
    var wasFound: Bool { !addresses.isEmpty }

    /// An answer that is as good as asking.
    func fresh(at now: Nanoseconds) -> [SocketAddress]? {
        wasFound && age(foundAt, now) < Self.fresh ? addresses : nil
    }

    /// An answer to go on with while there is no better one.
    func stale(at now: Nanoseconds) -> [SocketAddress]? {
        let isDenied = failure.map { Self.denials.contains($0.error) } ?? false
        return wasFound && age(foundAt, now) < (isDenied ? Self.usableIfDenied : Self.usable) ? addresses : nil
    }

    /// What to say without asking, or without waiting for an answer that is overdue.
    func answer(at now: Nanoseconds) -> ResolverAnswer? {
        if let addresses = fresh(at: now) { return .found(addresses) }
        if let askedSince {
            guard age(askedSince, now) >= Question.grace, let stale = stale(at: now) else { return nil }
            return .found(stale)
        }
        guard let failure, age(failure.at, now) < Self.failing else { return nil }
        return stale(at: now).map { .found($0) } ?? .failed(failure.words)
    }

    /// The look-up is over. Returns what those are told who wait for it.
    mutating func finish(_ result: LookUp, at now: Nanoseconds) -> ResolverAnswer {
        askedSince = nil
        isUnproven = false
        switch result {
        case .found(let found):
            addresses = found
            foundAt = now
            failure = nil
            return .found(found)
        case .failed(let error, let words):
            failure = (now, error, words)
            return stale(at: now).map { .found($0) } ?? .failed(words)
        }
    }

    /// Errors of getaddrinfo that are answers: there is no such name, or it has no address (EAI_NONAME, EAI_NODATA and
    /// EAI_ADDRFAMILY of netdb.h).
    private static let denials: Set<Int32> = [-2, -5, -9]

    private func age(_ since: Nanoseconds, _ now: Nanoseconds) -> Nanoseconds { now &- min(since, now) }
}
