// Whether the server answers, as far as the loops of a client can tell, and the lines for its loss and its return.

internal import Pairing

/// Turns what happens to carriers into edges: the server is lost once, and reached again once. Each call returns what
/// there is to tell the log. Shared by the loops; asked only when carriers open, break or fail to open.
final class ServerWatch: Sendable {
    private enum State {
        /// It never answered: attempts to pair say so.
        case unknown
        case answers
        /// A carrier broke at that moment, others are open, and none has been heard since.
        case suspect(since: Nanoseconds, why: String, resets: Int)
        case lost(since: Nanoseconds, resets: Int)
    }
    private let server: String
    private let state = Guarded(State.unknown)
    /// A suspect server of which nothing was heard for so long is lost.
    private static let patience: Nanoseconds = 10_000_000_000

    /// `server` is its address in words.
    init(_ server: String) { self.server = server }

    /// A carrier was opened or confirmed: the server has proved that it answers.
    func answers(at now: Nanoseconds) -> RelayEvent? {
        state.withLock { state in
            defer { state = .answers }
            switch state {
            case .unknown, .answers: return nil
            case .suspect(_, let why, let resets): return .connectionBroke(server: server, why, resets: resets)
            case .lost(let since, let resets):
                return .serverReached(server, after: .nanoseconds(now &- min(since, now)), resets: resets)
            }
        }
    }

    /// A carrier broke, and `resets` application connections with it. `isLast`: its loop has no other.
    func carrierBroke(_ why: String, resets: Int, isLast: Bool, at now: Nanoseconds) -> RelayEvent? {
        state.withLock { state in
            switch state {
            case .unknown: return nil
            case .answers:
                guard resets > 0 || isLast else { return nil }
                state = .suspect(since: now, why: why, resets: resets)
            case .suspect(let since, let why, let before):
                state = .suspect(since: since, why: why, resets: before + resets)
            case .lost(let since, let before): state = .lost(since: since, resets: before + resets)
            }
            return isLast ? giveUp(&state) : nil
        }
    }

    /// A carrier that nobody used ended, and its loop has no other.
    func lastCarrierEnded() -> RelayEvent? { state.withLock { giveUp(&$0) } }

    /// The server could not be reached, or did not answer.
    func unreached(_ why: String, at now: Nanoseconds) -> RelayEvent? {
        state.withLock { state in
            if case .answers = state { state = .suspect(since: now, why: why, resets: 0) }
            return giveUp(&state)
        }
    }

    /// An application connection was reset because no carrier was ready in time.
    func turnedAway() {
        state.withLock { state in
            switch state {
            case .unknown, .answers: break
            case .suspect(let since, let why, let resets): state = .suspect(since: since, why: why, resets: resets + 1)
            case .lost(let since, let resets): state = .lost(since: since, resets: resets + 1)
            }
        }
    }

    /// From time to time: `heard` is when a carrier of the loop was last heard, if it has any.
    func look(heard: Nanoseconds?, at now: Nanoseconds) -> RelayEvent? {
        let since: Nanoseconds? = state.withLock { state in
            switch state {
            case .unknown, .answers: nil
            case .suspect(let since, _, _), .lost(let since, _): since
            }
        }
        guard let since else { return nil }
        if let heard, heard > since { return answers(at: now) }
        guard now &- min(since, now) >= Self.patience else { return nil }
        return state.withLock { giveUp(&$0) }
    }

    /// A suspect server counts as lost now.
    private func giveUp(_ state: inout State) -> RelayEvent? {
        guard case .suspect(let since, let why, let resets) = state else { return nil }
        state = .lost(since: since, resets: resets)
        return .serverLost(server, why)
    }
}
