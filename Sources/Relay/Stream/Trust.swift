// Whether a client believes that a carrier still reaches the server, and whether it is finding out.

/// What the client thinks of one carrier.
enum Trust: Equatable {
    /// New streams may come here.
    case trusted(Watch)
    /// Nothing was heard when something should have been: no new stream comes here before that changes.
    case suspect(Watch)

    /// Whether it is being looked at whether something is heard.
    enum Watch: Equatable {
        case none
        /// Something was sent that should bring an answer, the last time at `since`.
        case expecting(since: Nanoseconds)
        /// ... and the peer was asked with PING.
        case asking(since: Nanoseconds)
    }

    /// Asked whenever something is heard.
    var isSuspect: Bool { if case .suspect = self { true } else { false } }

    var isWatched: Bool { watch != .none }

    /// The peer was asked, and has not been heard since.
    var isAsked: Bool { if case .asking = watch { true } else { false } }

    /// When something was last sent that should bring an answer; nil where nobody waits for one.
    var expectedSince: Nanoseconds? {
        switch watch {
        case .none: nil
        case .expecting(let since), .asking(let since): since
        }
    }

    private var watch: Watch {
        get {
            switch self {
            case .trusted(let watch), .suspect(let watch): watch
            }
        }
        set { self = isSuspect ? .suspect(newValue) : .trusted(newValue) }
    }

    /// Something is sent at `now` that should bring an answer; `asking` if PING goes with it. True if nobody watched
    /// before.
    mutating func expectWord(now: Nanoseconds, asking: Bool) -> Bool {
        defer { watch = asking || isAsked ? .asking(since: now) : .expecting(since: now) }
        return !isWatched
    }

    /// The peer is asked, because it was not heard. Only for a carrier that is watched.
    mutating func ask() {
        if let since = expectedSince { watch = .asking(since: since) }
    }

    /// No new stream comes here before the peer, which is asked at `now`, has answered. True if nobody watched before.
    mutating func suspect(now: Nanoseconds) -> Bool {
        defer { self = .suspect(.asking(since: expectedSince ?? now)) }
        return !isWatched
    }

    /// Something was heard, but perhaps not what is waited for: whether more comes is looked at from `since` on. True if
    /// nobody watched before.
    mutating func watchAgain(since: Nanoseconds) -> Bool {
        guard !isWatched else { return false }
        watch = .expecting(since: since)
        return true
    }

    /// Nothing was heard though something should have been; nobody waits for it any longer.
    mutating func wasSilent() { self = .suspect(.none) }

    /// Something was heard. Whether it is what was expected, the watch finds out.
    mutating func wasHeard() {
        self = .trusted(watch)
        heardWhileWatched()
    }

    /// The watch has found that something was heard.
    mutating func heardWhileWatched() {
        if let since = expectedSince { watch = .expecting(since: since) }
    }

    /// Nobody waits for anything.
    mutating func endWatch() { watch = .none }
}
