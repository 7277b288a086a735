// What the demo was doing and what the daemons reported, for the case that it fails.
import Pairing
import Relay

/// The current step, the pairing, and the daemons' warnings.
final class DemoDiary: Sendable {
    private struct Entries {
        var step = "starting"
        var warnings: [String] = []
        var pairing: Duration?
    }

    private let entries = Guarded(Entries())

    /// What is being done now, in words that follow "while".
    var step: String {
        get { entries.withLock { $0.step } }
        set { entries.withLock { $0.step = newValue } }
    }

    /// How long the client took to pair; nil before it has.
    var pairing: Duration? { entries.withLock { $0.pairing } }

    /// Keeps what matters of an event of the daemon named `who`.
    func note(_ event: RelayEvent, from who: String) {
        entries.withLock { entries in
            if case .paired(_, _, let took) = event, who == "client" { entries.pairing = took }
            if event.level >= .warning, entries.warnings.count < 3 { entries.warnings.append("\(who): \(event)") }
        }
    }

    /// The warnings, each on a line of its own that begins with a newline.
    var text: String { entries.withLock { $0.warnings.map { "\n  \($0)" }.joined() } }
}

/// Why the demo failed.
struct DemoFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
