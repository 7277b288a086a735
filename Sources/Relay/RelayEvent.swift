// What a daemon tells the world while it runs. No event holds a secret or a byte of a stream.
package import Pairing
package import Settings
package import Wire

/// How much an event matters, in the order of syslog's severities turned round.
package enum EventLevel: Int, Sendable, Comparable {
    case debug, info, notice, warning, error

    package static func < (a: EventLevel, b: EventLevel) -> Bool { a.rawValue < b.rawValue }
}

/// Something that happened, for logs.
package enum RelayEvent: Sendable, CustomStringConvertible {
    /// A pairing stands: the other side's key, and how long it took.
    case paired(PublicKey, Duration)
    /// The client could not pair: why, and when it tries again.
    case pairingFailed(String, retryIn: Duration)
    /// The server no longer knows the conversation; the client pairs again.
    case pairingAgain
    /// The conversation ended and its secrets were wiped: why.
    case conversationEnded(String)
    /// A stream ended otherwise than orderly.
    case streamBroken(ServiceID?, String)
    /// A carrier's entropy was renewed in both directions.
    case rekeyed(ServiceID?)
    /// A carrier ended otherwise than orderly.
    case carrierLost(String)
    /// A peer was turned away before it proved itself: from where, and why. Sampled by the log.
    case stranger(String, String)
    /// A device asked for a service that it may not use, or that does not exist.
    case refused(device: PublicKey, service: String)
    /// An application connection could not be served: why.
    case applicationTurnedAway(ServiceID, String)
    /// A service (nil for the server's carriers) cannot listen where it should, which is tried again: why, and how many
    /// listeners are missing.
    case cannotListen(ServiceID?, String, missing: Int)
    /// It could in the end: where, and how many are still missing.
    case listensNow(ServiceID?, Address, missing: Int)
    /// It listens at an address that this host does not have yet; at others of the same name as well.
    case addressIsMissing(ServiceID?, Address, hasOthers: Bool)
    /// Accepting paused for lack of a resource.
    case acceptPaused(String)
    /// Accepting goes on.
    case acceptResumed
    /// RLIMIT_MEMLOCK is reached: secrets beyond it may be swapped out.
    case memoryUnlocked
    /// The graceful end began: streams still open on one shard.
    case draining(streams: Int)
    /// Streams were cut because the drain time-out passed.
    case cut(streams: Int)

    /// How much this event matters.
    package var level: EventLevel {
        switch self {
        case .streamBroken, .carrierLost, .rekeyed, .stranger: .debug
        case .paired, .conversationEnded, .acceptResumed, .draining: .info
        case .pairingAgain, .listensNow: .notice
        case .addressIsMissing(_, _, hasOthers: true): .info
        case .cannotListen: .error
        case .pairingFailed, .refused, .applicationTurnedAway, .acceptPaused, .memoryUnlocked, .cut,
            .addressIsMissing:
            .warning
        }
    }

    package var description: String {
        switch self {
        case .paired(let key, let took): "paired with \(key.text) in \(milliseconds(took)) ms"
        case .pairingFailed(let why, let delay): "cannot pair: \(why); trying again in \(milliseconds(delay)) ms"
        case .pairingAgain: "the server does not know this conversation any more; pairing again"
        case .conversationEnded(let why): "conversation ended: \(why)"
        case .streamBroken(let service, let why): "stream to \(service?.text ?? "?") broken: \(why)"
        case .rekeyed(let service): "carrier of a stream to \(service?.text ?? "?") rekeyed"
        case .carrierLost(let why): "carrier lost: \(why)"
        case .stranger(let from, let why): "turned away \(from): \(why)"
        case .refused(let device, let service): "device \(device.text) may not use service '\(service)'"
        case .applicationTurnedAway(let service, let why): "application connection to \(service.text) reset: \(why)"
        case .cannotListen(let service, let why, _): "\(prefix(service))\(why); trying again every second"
        case .listensNow(let service, let address, _): "\(prefix(service))listening on \(address) now"
        case .addressIsMissing(let service, let address, _):
            "\(prefix(service))listening on \(address), which is no address of this host yet"
        case .acceptPaused(let why): "accepting paused: \(why)"
        case .acceptResumed: "accepting again"
        case .memoryUnlocked:
            "RLIMIT_MEMLOCK is reached: further secrets may be swapped out (raise LimitMEMLOCK or `ulimit -l`)"
        case .draining(let streams): "draining: \(streams) streams still open"
        case .cut(let streams): "drain time-out: \(streams) streams cut"
        }
    }
}

extension RelayEvent {
    /// One line for a service manager that shows what a daemon is about; nil if the event changes nothing of it.
    package var status: String? {
        switch self {
        case .cannotListen(_, let why, let missing): missing == 1 ? why : "\(missing) listeners are missing: \(why)"
        case .listensNow(_, _, 0): "listening everywhere"
        case .listensNow(_, _, let missing): "\(missing) listeners are missing"
        default: nil
        }
    }
}

private func prefix(_ service: ServiceID?) -> String { service.map { "service \($0.text): " } ?? "" }

/// A duration as milliseconds with one decimal.
private func milliseconds(_ duration: Duration) -> String {
    let tenths = duration.nanoseconds / 100_000
    return "\(tenths / 10).\(tenths % 10)"
}
