// The way from what happens in the data plane to lines in the log.
package import Logging
internal import Pairing
package import Relay
package import Settings
internal import Wire

/// Writes a daemon's events to a logger, sampling the kinds that others can cause at will.
package final class EventLog: Sendable {
    private let logger: Logger
    private let samplers: Guarded<SamplerTable>

    /// - Parameter logger: its level decides what is written.
    package init(_ logger: Logger) {
        self.logger = logger
        samplers = Guarded(SamplerTable(kinds: SampledKind.allCases.count, at: .now))
    }

    /// Writes one event. Callable from any thread; never waits for the reader of the log.
    package func record(_ event: RelayEvent) {
        let level = Logger.Level(event.level)
        // First the level: an event that is not written must not use up a token or count as suppressed.
        guard level >= logger.logLevel else { return }
        guard let (kind, subject) = SampledKind.of(event) else {
            return logger.log(level: level, "\(event)")
        }
        switch samplers.withLock({ $0.admit(kind: kind.rawValue, subject, at: .now) }) {
        case .write(0): logger.log(level: level, "\(event)")
        case .write(1): logger.log(level: level, "\(event) (1 similar line suppressed)")
        case .write(let suppressed): logger.log(level: level, "\(event) (\(suppressed) similar lines suppressed)")
        case .suppress: break
        }
    }

    /// Says how many lines were suppressed and not spoken of since. For the daemon's end.
    package func reportSuppressed() {
        let counts = samplers.withLock { $0.takeSuppressed() }
        for (kind, count) in zip(SampledKind.allCases, counts) where count > 0 {
            logger.notice("\(count) line\(count == 1 ? "" : "s") about \(kind.plural) suppressed")
        }
    }
}

/// The kinds of events that others can cause once per connection. Some come several times a second for as long as a
/// server or a target is away.
private enum SampledKind: Int, CaseIterable {
    case stranger, unknownDevice, paired, refused, targetFailed, streamTurnedDown, deviceLost, deviceLoggedOff
    case pairingFailed, pairingAgain, streamRefused, applicationTurnedAway, serverLost, serverReached, connectionBroke
    case shortage, streamBroken, carrierLost, carrierSilent

    /// The kind, and whom the event is about: each has a share of the kind's lines. Nil for what is rare by nature.
    /// Subjects are what the configuration names, or keys that were proved; not what a peer may choose freely.
    static func of(_ event: RelayEvent) -> (kind: SampledKind, subject: String)? {
        switch event {
        case .stranger: (.stranger, "")
        case .unknownDevice(let key, _): (.unknownDevice, key.text)
        case .paired(let whom, _, _): (.paired, whom)
        case .refused(let device, _): (.refused, device.name)
        case .targetFailed(let service, _, _, _): (.targetFailed, service.text)
        case .streamTurnedDown(let service, _, _): (.streamTurnedDown, service.text)
        case .deviceLost(let device, _, _): (.deviceLost, device.name)
        case .conversationEnded(let why): (.deviceLoggedOff, why)
        case .pairingFailed: (.pairingFailed, "")
        case .pairingAgain: (.pairingAgain, "")
        case .streamRefused(let service, _, _): (.streamRefused, service.text)
        case .applicationTurnedAway(let service, _): (.applicationTurnedAway, service.text)
        case .serverLost: (.serverLost, "")
        case .serverReached: (.serverReached, "")
        case .connectionBroke: (.connectionBroke, "")
        case .shortage: (.shortage, "")
        case .streamBroken(let service, _): (.streamBroken, service?.text ?? "")
        case .carrierLost, .cannotOpenCarrier: (.carrierLost, "")
        case .carrierSilent: (.carrierSilent, "")
        case .rekeyed, .acceptPaused, .acceptResumed, .memoryUnlocked, .draining, .cut, .cannotListen, .listensNow,
            .addressIsMissing:
            nil
        }
    }

    var plural: String {
        switch self {
        case .stranger: "peers turned away"
        case .unknownDevice: "unknown devices"
        case .paired: "pairings"
        case .refused: "refused services"
        case .targetFailed: "targets that could not be connected to"
        case .streamTurnedDown: "streams there was no room for"
        case .deviceLost: "devices lost"
        case .deviceLoggedOff: "conversations that ended"
        case .pairingFailed: "attempts to pair"
        case .pairingAgain: "conversations the server did not know"
        case .streamRefused: "streams the server refused"
        case .applicationTurnedAway: "application connections turned away"
        case .serverLost: "the loss of the server"
        case .serverReached: "the return of the server"
        case .connectionBroke: "broken connections to the server"
        case .shortage: "connecting without resources"
        case .streamBroken: "broken streams"
        case .carrierLost: "lost carriers"
        case .carrierSilent: "silent carriers"
        }
    }
}

extension Logger.Level {
    /// The level of an event of the data plane.
    package init(_ level: EventLevel) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            }
    }

    /// The level a configuration file asks for.
    package init(_ level: LogLevel) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            }
    }
}
