// What a daemon would have told its log.
import Pairing

@testable import Relay

final class EventRecorder: Sendable {
    private let events = Guarded<[String]>([])

    func add(_ event: RelayEvent) { events.withLock { $0.append("\(event)") } }

    var all: [String] { events.withLock { $0 } }

    /// Those since the last call.
    func take() -> [String] {
        events.withLock { events in
            defer { events = [] }
            return events
        }
    }
}
