// What it means that nothing was heard on a carrier, judged by the link's own round trips and by what the kernel knows.
internal import CLinux

/// What a carrier's silence means.
enum Silence {
    /// Nothing: all that was sent has arrived at the peer's host, and it was heard shortly before.
    case fine
    /// It cannot be told yet.
    case early
    /// The peer has to be asked.
    case unasked
    /// The peer, or the way to it, is gone.
    case silent

    /// A carrier that was heard so recently is not asked when a stream opens.
    static let quiet: Nanoseconds = 1_000_000_000
    /// How long nothing must be heard at least, and how long at most.
    static let shortest: Nanoseconds = 600_000_000
    static let longest: Nanoseconds = 3_000_000_000
    /// Between two looks at the same carrier.
    static let step: Nanoseconds = 200_000_000

    /// Judges at `now` that nothing was heard on `carrier` since `since`.
    init(of carrier: Carrier, since: Nanoseconds, now: Nanoseconds) {
        let tcp = carrier.link.silence
        let elapsed = now &- min(since, now)
        // What the kernel waits for before it sends again, three times.
        guard elapsed >= min(max(3 * (tcp?.pace ?? 0), Self.shortest), Self.longest) else {
            self = .early
            return
        }
        if let tcp {
            // A large frame on a slow link is under way for long.
            if carrier.link.filled > carrier.link.parsed, UInt64(tcp.last_data_ms) * 1_000_000 < elapsed {
                self = .early
                return
            }
            if tcp.unanswered >= 1, UInt64(tcp.last_ack_ms) * 1_000_000 &+ Self.step / 2 >= elapsed {
                self = .silent
                return
            }
        }
        guard carrier.lastHeard <= since else {
            self = .early
            return
        }
        guard !carrier.trust.isAsked else {
            self = .silent
            return
        }
        self = carrier.phase == .shared || carrier.withdrawing != nil ? .unasked : .fine
    }

    /// Whether `carrier` was heard so recently that it need not be asked whether anybody is there.
    static func isShort(of carrier: Carrier, now: Nanoseconds) -> Bool {
        now &- min(carrier.lastHeard, now) < quiet
    }

    /// Whether TCP has sent something again on `carrier` that was not acknowledged.
    static func isRepeating(_ carrier: Carrier) -> Bool { (carrier.link.silence?.unanswered ?? 0) > 0 }
}
