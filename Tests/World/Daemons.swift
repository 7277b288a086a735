// The only file here that knows anything of Relay: how a daemon is made, started, drained and asked.
import CWorld
import Glibc
import Pairing
import Relay
import Settings
import Wire

/// A daemon under test, as a process of a machine.
final class TestDaemon {
    let process: Int32
    let name: String
    private var daemon: Daemon?
    private let ending = Ending()

    private final class Ending: @unchecked Sendable {
        var hasEnded = false
    }

    /// One thread, so nothing here is ever shared.
    private init(_ name: String, on machine: Int32, _ make: (@escaping @Sendable (RelayEvent) -> Void) -> Daemon) {
        process = cw_process(machine)
        self.name = name
        cw_enter(process)
        daemon = make { event in
            if cw_traces() { cw_trace("\(name): \(event)") }
        }
        cw_enter(-1)
    }

    convenience init(server settings: ServerSettings, on machine: Int32, named name: String) {
        self.init(name, on: machine) { Daemon(server: settings, events: $0) }
    }

    convenience init(client settings: ClientSettings, on machine: Int32, named name: String) {
        self.init(name, on: machine) { Daemon(client: settings, events: $0) }
    }

    /// False if it cannot listen, or lacks something else.
    func start() -> Bool {
        guard let daemon else { return false }
        cw_enter(process)
        defer { cw_enter(-1) }
        do {
            _ = try daemon.start()
            return true
        } catch {
            if cw_traces() { cw_trace("\(name): \(error)") }
            self.daemon = nil
            return false
        }
    }

    /// Asks for a graceful end; `hasEnded` tells when it came.
    func drain() {
        guard let daemon, !isDraining else { return }
        isDraining = true
        cw_enter(process)
        daemon.drain()
        let ending = ending
        startThread("waiter") {
            daemon.waitUntilStopped()
            ending.hasEnded = true
        }
        cw_enter(-1)
    }

    private(set) var isDraining = false
    var hasEnded: Bool { ending.hasEnded }
    var isThere: Bool { daemon != nil }

    /// What is open in it now.
    var open: (streams: Int, carriers: Int) {
        guard let counters = daemon?.counters() else { return (0, 0) }
        return (counters.streamsOpen, counters.carriersOpen)
    }

    /// What `sums` has.
    static let counted = ["pairings", "resumes", "streams", "broken streams", "rekeys", "passes"]

    /// What it has counted.
    var sums: [UInt64] {
        let counters = daemon?.counters() ?? Counters()
        return [
            counters.pairings, counters.resumes, counters.streams, counters.brokenStreams, counters.rekeys,
            counters.passes,
        ]
    }

    /// Lets go of it, once it has ended.
    func release() { daemon = nil }
}
