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
    /// A pairing stands: with whom in words, from where if that is known, and how long it took.
    case paired(with: String, at: String?, Duration)
    /// The client could not pair with the server at this address: why, and when it tries again.
    case pairingFailed(server: String, String, retryIn: Duration)
    /// The server no longer knows the conversation; the client pairs again.
    case pairingAgain
    /// The conversation ended and its secrets were wiped: why.
    case conversationEnded(String)
    /// A stream ended otherwise than orderly.
    case streamBroken(ServiceID?, StreamFault)
    /// A carrier's entropy was renewed in both directions.
    case rekeyed(ServiceID?)
    /// A carrier ended otherwise than orderly.
    case carrierLost(Fault)
    /// A further carrier could not be opened: why.
    case cannotOpenCarrier(String)
    /// Nothing was heard on a carrier where something should have been: for how long. New streams go elsewhere.
    case carrierSilent(Duration)
    /// A peer was turned away before it proved itself: from where, and why. Sampled by the log.
    case stranger(String, String)
    /// A device that is not configured proved to have this key: from where.
    case unknownDevice(PublicKey, from: String)
    /// A device asked for a service that it may not use, or that does not exist.
    case refused(device: DevicePlace, service: String)
    /// The server could not connect a stream to its target: why.
    case targetFailed(ServiceID, target: String, device: DevicePlace, String)
    /// The server had no room for a stream: why.
    case streamTurnedDown(ServiceID, device: DevicePlace, String)
    /// The server at this address refused a stream: why, as far as it says.
    case streamRefused(ServiceID, server: String, CloseReason)
    /// An application connection could not be served: why.
    case applicationTurnedAway(ServiceID, String)
    /// A service (nil for the server's carriers) cannot listen where it should, which is tried again: why, and how many
    /// listeners are missing.
    case cannotListen(ServiceID?, String, missing: Int)
    /// It could in the end: where, and how many are still missing.
    case listensNow(ServiceID?, Address, missing: Int)
    /// It listens at an address that this host does not have yet; at others of the same name as well.
    case addressIsMissing(ServiceID?, Address, hasOthers: Bool)
    /// The server at this address answers no more: why.
    case serverLost(String, String)
    /// The server at this address was lost and answers again: after how long, and how many application connections
    /// were reset because of it.
    case serverReached(String, after: Duration, resets: Int)
    /// One connection to the server at this address broke while others go on: why, and how many application
    /// connections were reset with it.
    case connectionBroke(server: String, String, resets: Int)
    /// This host cannot connect to the server at this address for lack of a resource: what is lacking.
    case shortage(server: String, String)
    /// A device's carrier broke, and its streams with it: why, and how many.
    case deviceLost(DevicePlace, String, resets: Int)
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
        case .streamBroken, .carrierLost, .cannotOpenCarrier, .rekeyed, .stranger: .debug
        case .paired, .conversationEnded, .acceptResumed, .draining, .deviceLost, .carrierSilent: .info
        case .pairingAgain, .listensNow, .serverReached: .notice
        case .addressIsMissing(_, _, hasOthers: true): .info
        case .cannotListen: .error
        case .pairingFailed, .refused, .applicationTurnedAway, .acceptPaused, .memoryUnlocked, .cut, .unknownDevice,
            .targetFailed, .streamTurnedDown, .streamRefused, .serverLost, .connectionBroke, .shortage,
            .addressIsMissing:
            .warning
        }
    }

    package var description: String {
        switch self {
        case .paired(let whom, let place, let took):
            "paired with \(whom)\(place.map { " at \($0)" } ?? "") in \(milliseconds(took)) ms"
        case .pairingFailed(let server, let why, let delay):
            "cannot pair with server \(server): \(why); trying again in \(milliseconds(delay)) ms"
        case .pairingAgain: "the server does not know this conversation any more; pairing again"
        case .conversationEnded(let why): "conversation ended: \(why)"
        case .streamBroken(let service, let why): "stream to \(service?.text ?? "?") broken: \(why)"
        case .rekeyed(let service): "carrier of a stream to \(service?.text ?? "?") rekeyed"
        case .carrierLost(let why): "carrier lost: \(why)"
        case .cannotOpenCarrier(let why): "carrier lost: cannot open a carrier: \(why)"
        case .carrierSilent(let time): "carrier silent for \(inWords(time)): new streams go elsewhere"
        case .stranger(let from, let why): "turned away \(from): \(why)"
        case .unknownDevice(let key, let from):
            "unknown device \(key.text) from \(from); to admit it add it under `devices:` in the server's configuration, "
                + "such as NAME: {key: \"\(key.text)\", services: [SERVICE]}, and restart the server"
        case .refused(let device, let service):
            "\(device) may not use service '\(service)', or there is no such service"
        case .targetFailed(let service, let target, let device, let why):
            "service \(service.text): cannot connect to its target \(target): \(why); a stream of \(device) is refused"
        case .streamTurnedDown(let service, let device, let why):
            "service \(service.text): a stream of \(device) is refused: \(why)"
        case .streamRefused(let service, let server, let reason):
            "service \(service.text): server \(server) refused a stream: \(reason); an application connection was reset"
        case .applicationTurnedAway(let service, let why): "application connection to \(service.text) reset: \(why)"
        case .cannotListen(let service, let why, _): "\(prefix(service))\(why); trying again every second"
        case .listensNow(let service, let address, _): "\(prefix(service))listening on \(address) now"
        case .addressIsMissing(let service, let address, _):
            "\(prefix(service))listening on \(address), which is no address of this host yet"
        case .serverLost(let server, let why): "server \(server) lost: \(why)"
        case .serverReached(let server, let time, let resets):
            "server \(server) reached again after \(inWords(time)), \(counted(resets, "connection")) reset meanwhile"
        case .connectionBroke(let server, let why, let resets):
            "a connection to server \(server) broke: \(why); \(counted(resets, "connection")) reset"
        case .shortage(let server, let what): "cannot connect to server \(server): \(what)"
        case .deviceLost(let device, let why, let resets):
            "\(device) lost: \(why); \(counted(resets, "connection")) reset"
        case .acceptPaused(let why): "accepting paused: \(why)"
        case .acceptResumed: "accepting again"
        case .memoryUnlocked:
            "RLIMIT_MEMLOCK is reached: further secrets may be swapped out (raise LimitMEMLOCK or `ulimit -l`)"
        case .draining(let streams): "draining: \(counted(streams, "stream")) still open"
        case .cut(let streams): "drain time-out: \(counted(streams, "stream")) cut"
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

/// A device as its server's configuration names it, and where it was seen, if that is known.
package struct DevicePlace: Sendable, Equatable, CustomStringConvertible {
    /// The name under `devices:`, or the public key's text if there is none.
    package let name: String
    /// `HOST:PORT`.
    package let address: String?

    package init(name: String, address: String?) {
        self.name = name
        self.address = address
    }

    package var description: String { "device \(name)" + (address.map { " at \($0)" } ?? "") }
}

/// A duration as milliseconds with one decimal.
private func milliseconds(_ duration: Duration) -> String {
    let tenths = duration.nanoseconds / 100_000
    return "\(tenths / 10).\(tenths % 10)"
}

/// A duration for people: whole seconds, or milliseconds below one.
func inWords(_ duration: Duration) -> String {
    let nanoseconds = duration.nanoseconds
    return nanoseconds < 1_000_000_000 ? "\(nanoseconds / 1_000_000) ms" : "\(nanoseconds / 1_000_000_000) s"
}

/// A number and the noun for it.
private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
