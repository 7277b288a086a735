// What both daemons can be told, with its defaults. Pure values.

/// The settings a server and a client share.
package struct CommonSettings: Equatable, Sendable {
    /// Pairs of event-loop threads; 0 means one for every two cores of the machine.
    package var shards: Int
    /// Whether a shard polls for a moment before it sleeps.
    package var polling: PollingChoice
    /// How long a carrier may be silent before it is asked for a sign of life.
    package var heartbeat: Duration
    /// How long a carrier may stay silent before its peer counts as gone; longer than `heartbeat`.
    package var deadAfter: Duration
    /// When a carrier's entropy is renewed.
    package var rekey: RekeySettings
    /// How long streams may go on after a request to stop, before they are cut.
    package var drain: Duration
    /// The most application connections at one time; beyond it accepting pauses.
    package var maxConnections: Int
    /// The least severe events that are logged.
    package var logLevel: LogLevel

    package init(
        shards: Int = 0, polling: PollingChoice = .adaptive, heartbeat: Duration = .seconds(10),
        deadAfter: Duration = .seconds(30), rekey: RekeySettings = RekeySettings(), drain: Duration = .seconds(4),
        maxConnections: Int = 100_000, logLevel: LogLevel = .info
    ) {
        self.shards = shards
        self.polling = polling
        self.heartbeat = heartbeat
        self.deadAfter = deadAfter
        self.rekey = rekey
        self.drain = drain
        self.maxConnections = maxConnections
        self.logLevel = logLevel
    }
}

/// Whether a shard polls for a moment before it sleeps.
package enum PollingChoice: String, CaseIterable, Sendable {
    /// While single messages follow each other within microseconds: answers come sooner, for processor time that
    /// nobody else wants.
    case adaptive
    /// Never.
    case off
}

/// A carrier's entropy is renewed when any of the three is reached.
package struct RekeySettings: Equatable, Sendable {
    /// Frames, both directions together.
    package var frames: UInt64
    /// Plaintext bytes, both directions together.
    package var bytes: UInt64
    /// Time since the carrier's entropy was made.
    package var every: Duration

    package init(frames: UInt64 = 1 << 20, bytes: UInt64 = 16 << 30, every: Duration = .seconds(900)) {
        self.frames = frames
        self.bytes = bytes
        self.every = every
    }
}

/// How severe an event is, the least severe first. The raw values are the words of the configuration.
package enum LogLevel: String, CaseIterable, Comparable, Sendable {
    case trace, debug, info, notice, warning, error

    private var severity: Int {
        switch self {
        case .trace: 0
        case .debug: 1
        case .info: 2
        case .notice: 3
        case .warning: 4
        case .error: 5
        }
    }

    package static func < (a: LogLevel, b: LogLevel) -> Bool {
        a.severity < b.severity
    }
}
