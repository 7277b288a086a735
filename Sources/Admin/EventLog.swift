// The way from what happens in the data plane to lines in the log.
package import Logging
package import Relay
package import Settings
internal import Synchronization

/// Writes a daemon's events to a logger, sampling the kinds that others can cause at will.
package final class EventLog: Sendable {
    /// Ten lines of a kind at once, then one every six seconds: at most 14,400 lines a day and kind, some
    /// 2 MB, however long a flood lasts.
    private static let burst = 10
    private static let interval = Duration.seconds(6)

    private let logger: Logger
    private let samplers: Mutex<[LineSampler]>

    /// - Parameter logger: its level decides what is written.
    package init(_ logger: Logger) {
        self.logger = logger
        let sampler = LineSampler(burst: Self.burst, interval: Self.interval, at: .now)
        samplers = Mutex(Array(repeating: sampler, count: SampledKind.allCases.count))
    }

    /// Writes one event. Callable from any thread; never waits for the reader of the log.
    package func record(_ event: RelayEvent) {
        let level = Logger.Level(event.level)
        // First the level: an event that is not written must not use up a token or count as suppressed.
        guard level >= logger.logLevel else { return }
        guard let kind = SampledKind(event) else {
            return logger.log(level: level, "\(event)")
        }
        switch samplers.withLock({ $0[kind.rawValue].admit(at: .now) }) {
        case .write(0): logger.log(level: level, "\(event)")
        case .write(let suppressed): logger.log(level: level, "\(event) (\(suppressed) similar lines suppressed)")
        case .suppress: break
        }
    }

    /// Says how many lines were suppressed and not spoken of since. For the daemon's end.
    package func reportSuppressed() {
        let counts = samplers.withLock { all in all.indices.map { all[$0].takeSuppressed() } }
        for (kind, count) in zip(SampledKind.allCases, counts) where count > 0 {
            logger.notice("\(count) lines about \(kind.subject) suppressed")
        }
    }
}

/// The kinds of events that come once per connection when somebody wants them to, or several times a second for as long
/// as a server is away.
private enum SampledKind: Int, CaseIterable {
    case stranger, refused, applicationTurnedAway, pairingFailed

    init?(_ event: RelayEvent) {
        switch event {
        case .stranger: self = .stranger
        case .refused: self = .refused
        case .applicationTurnedAway: self = .applicationTurnedAway
        case .pairingFailed: self = .pairingFailed
        default: return nil
        }
    }

    var subject: String {
        switch self {
        case .stranger: "peers turned away"
        case .refused: "refused services"
        case .applicationTurnedAway: "application connections turned away"
        case .pairingFailed: "attempts to pair"
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
