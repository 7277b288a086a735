// A recording proxy on the carrier between the two daemons. It cuts each direction into units, asks its
// policy about every one, and sends on what the policy says. No keys.

import Glibc
import Synchronization

/// Listens on one loopback port per lane and connects every carrier on to the server daemon.
final class HostileTap: Sendable {
    typealias Policy = @Sendable (CarrierUnit, UnitPlace) -> Verdict

    /// Where clients connect to, one a lane.
    let endpoints: [Endpoint]

    private struct Control {
        var policy: Policy = { unit, _ in .pass(unit) }
        var recorded: [[CarrierDirection: [CarrierUnit]]] = []
        var arrived: [(lane: Int, client: Socket)] = []
        var breakLanes: Set<Int> = []
        var keepRecording = true
        var stop = false
        var carriersOpen = 0
    }

    private let control = Mutex(Control())
    private let wakeRead: Int32
    private let wakeWrite: Int32
    private let listeners: [ListeningSocket]

    init(to server: Endpoint, lanes: Int = 1) throws {
        listeners = try (0..<lanes).map { _ in try ListeningSocket() }
        endpoints = listeners.map(\.endpoint)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SocketError(call: "pipe", code: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
        let loop = TapLoop(tap: self, wake: wakeRead, server: server)
        startThread { loop.run() }
        for (lane, listener) in listeners.enumerated() {
            startThread { [self] in
                while let client = try? listener.accept() { tell { $0.arrived.append((lane, client)) } }
            }
        }
    }

    deinit {
        close(wakeRead)
        close(wakeWrite)
    }

    /// Ends the tap and every carrier through it.
    func stop() {
        for listener in listeners { listener.close() }
        tell { $0.stop = true }
    }

    /// What happens to every unit from now on. Called on the tap's thread.
    func setPolicy(_ policy: @escaping Policy) { control.withLock { $0.policy = policy } }

    func passEverything() { setPolicy { unit, _ in .pass(unit) } }

    /// Cuts every carrier of the lane with a RST to both ends, and returns when that is done: a daemon that looks can
    /// see it.
    func breakCarriers(of lane: Int) {
        tell { $0.breakLanes.insert(lane) }
        let deadline = ContinuousClock.now.advanced(by: patience)
        while control.withLock({ $0.breakLanes.contains(lane) && !$0.stop }), ContinuousClock.now < deadline {
            usleep(100)
        }
    }

    /// Stops keeping what passes, for tests that pass a lot.
    func stopRecording() { control.withLock { $0.keepRecording = false } }

    /// What the senders sent, as it arrived here and before any manipulation, by carrier.
    var recorded: [[CarrierDirection: [CarrierUnit]]] { control.withLock(\.recorded) }

    func recorded(carrier: Int, _ direction: CarrierDirection) -> [CarrierUnit] {
        control.withLock { carrier < $0.recorded.count ? $0.recorded[carrier][direction] ?? [] : [] }
    }

    /// Carriers that are open now.
    var carriersOpen: Int { control.withLock(\.carriersOpen) }

    // MARK: What the loop asks

    func newCarrier() -> Int {
        control.withLock {
            $0.recorded.append([:])
            $0.carriersOpen += 1
            return $0.recorded.count - 1
        }
    }

    func carrierEnded() { control.withLock { $0.carriersOpen -= 1 } }

    func verdict(on unit: CarrierUnit, at place: UnitPlace) -> Verdict {
        let policy = control.withLock { control in
            if control.keepRecording { control.recorded[place.carrier][place.direction, default: []].append(unit) }
            return control.policy
        }
        return policy(unit, place)
    }

    func orders() -> (stop: Bool, breakLanes: Set<Int>, arrived: [(lane: Int, client: Socket)]) {
        control.withLock { control in
            defer { control.arrived = [] }
            return (control.stop, control.breakLanes, control.arrived)
        }
    }

    /// These orders to break lanes were carried out.
    func broke(_ lanes: Set<Int>) { control.withLock { $0.breakLanes.subtract(lanes) } }

    private func tell(_ change: (inout Control) -> Void) {
        control.withLock { change(&$0) }
        var one: UInt8 = 1
        _ = write(wakeWrite, &one, 1)
    }
}
