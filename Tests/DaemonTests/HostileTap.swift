// A recording proxy on the carrier between the two daemons. It cuts each direction into units, asks its
// policy about every one, and sends on what the policy says. One thread, poll(2), no keys.

import Glibc
import Synchronization

/// Listens on one loopback port per lane and connects every carrier on to the server daemon.
final class HostileTap: Sendable {
    typealias Policy = @Sendable (CarrierUnit, UnitPlace) -> Verdict

    /// The ports clients connect to, one a lane.
    let ports: [UInt16]

    private struct Control {
        var policy: Policy = { unit, _ in .pass(unit) }
        var recorded: [[CarrierDirection: [CarrierUnit]]] = []
        var breakLanes: Set<Int> = []
        var keepRecording = true
        var stop = false
        var carriersOpen = 0
    }

    private let control = Mutex(Control())
    private let wakeRead: Int32
    private let wakeWrite: Int32
    private let listeners: [LoopbackSocket]

    init(to server: UInt16, lanes: Int = 1) throws {
        listeners = try (0..<lanes).map { _ in try LoopbackSocket.listening() }
        ports = listeners.map(\.port)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SocketFailure("pipe") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
        let loop = TapLoop(tap: self, listeners: listeners, wake: wakeRead, server: server)
        startThread { loop.run() }
    }

    deinit {
        close(wakeRead)
        close(wakeWrite)
    }

    /// Ends the tap and every carrier through it; the thread gives up its reference.
    func stop() { tell { $0.stop = true } }

    /// What happens to every unit from now on. Called on the tap's thread.
    func setPolicy(_ policy: @escaping Policy) { control.withLock { $0.policy = policy } }

    func passEverything() { setPolicy { unit, _ in .pass(unit) } }

    /// Cuts every carrier of the lane with a RST to both ends.
    func breakCarriers(of lane: Int) { tell { $0.breakLanes.insert(lane) } }

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

    fileprivate func newCarrier() -> Int {
        control.withLock {
            $0.recorded.append([:])
            $0.carriersOpen += 1
            return $0.recorded.count - 1
        }
    }

    fileprivate func carrierEnded() { control.withLock { $0.carriersOpen -= 1 } }

    fileprivate func verdict(on unit: CarrierUnit, at place: UnitPlace) -> Verdict {
        let policy = control.withLock { control in
            if control.keepRecording { control.recorded[place.carrier][place.direction, default: []].append(unit) }
            return control.policy
        }
        return policy(unit, place)
    }

    fileprivate func orders() -> (stop: Bool, breakLanes: Set<Int>) {
        control.withLock { control in
            defer { control.breakLanes = [] }
            return (control.stop, control.breakLanes)
        }
    }

    private func tell(_ change: (inout Control) -> Void) {
        control.withLock { change(&$0) }
        var one: UInt8 = 1
        _ = write(wakeWrite, &one, 1)
    }
}

/// Runs `body` on a thread of its own, so that blocking calls hold no thread of the test library's pool.
func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let result = pthread_create(
        &thread, nil,
        { raw in
            Unmanaged<Box>.fromOpaque(raw!).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
    precondition(result == 0, "pthread_create: \(result)")
    pthread_detach(thread)
}

/// Runs blocking `body` on a thread of its own and waits for it without blocking the caller's.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
        startThread { continuation.resume(with: Result(catching: body)) }
    }
}

// MARK: - The loop

/// Owned by the tap's thread.
private final class TapLoop: @unchecked Sendable {
    private let tap: HostileTap
    private let listeners: [LoopbackSocket]
    private let wake: Int32
    private let server: UInt16
    private var carriers: [TapCarrier] = []

    init(tap: HostileTap, listeners: [LoopbackSocket], wake: Int32, server: UInt16) {
        (self.tap, self.listeners, self.wake, self.server) = (tap, listeners, wake, server)
    }

    func run() {
        while true {
            let (stop, broken) = tap.orders()
            for carrier in carriers where stop || broken.contains(carrier.lane) { carrier.reset() }
            reap()
            if stop { return }
            turn()
        }
    }

    private func turn() {
        var polled = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
        polled += listeners.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        for carrier in carriers { polled += carrier.interest() }
        let wait = carriers.map { $0.millisecondsToWait() }.min() ?? 1000
        guard poll(&polled, nfds_t(polled.count), Int32(wait)) >= 0 else { return }
        if polled[0].revents != 0 {
            var woken = [UInt8](repeating: 0, count: 64)
            _ = read(wake, &woken, woken.count)
        }
        let present = carriers
        for (lane, listener) in listeners.enumerated() where polled[1 + lane].revents != 0 {
            accept(from: listener, lane: lane)
        }
        for (number, carrier) in present.enumerated() {
            let first = 1 + listeners.count + 2 * number
            carrier.turn(client: polled[first].revents, server: polled[first + 1].revents)
        }
        reap()
    }

    private func accept(from listener: LoopbackSocket, lane: Int) {
        guard let client = listener.accept() else { return }
        guard let upstream = try? LoopbackSocket(connectingTo: server) else {
            client.resetOnClose()
            return
        }
        carriers.append(TapCarrier(tap: tap, lane: lane, number: tap.newCarrier(), client: client, server: upstream))
    }

    private func reap() {
        for carrier in carriers where carrier.isOver { tap.carrierEnded() }
        carriers.removeAll(where: \.isOver)
    }
}

/// One carrier through the tap: two sockets, two pipes.
private final class TapCarrier {
    let lane: Int
    private let tap: HostileTap
    private let number: Int
    private let client: LoopbackSocket
    private let server: LoopbackSocket
    private var pipes: [CarrierDirection: TapPipe] = [.toServer: TapPipe(), .toClient: TapPipe()]
    private var stream = 0
    private(set) var isOver = false

    init(tap: HostileTap, lane: Int, number: Int, client: LoopbackSocket, server: LoopbackSocket) {
        (self.tap, self.lane, self.number, self.client, self.server) = (tap, lane, number, client, server)
        for socket in [client, server] { _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK) }
    }

    func interest() -> [pollfd] {
        [interest(in: client, reading: .toServer), interest(in: server, reading: .toClient)]
    }

    private func interest(in socket: LoopbackSocket, reading direction: CarrierDirection) -> pollfd {
        let incoming = pipes[direction]!
        let outgoing = pipes[direction.opposite]!
        var events: Int32 = 0
        if !incoming.sourceEnded && incoming.pendingCount < 1 << 20 { events |= POLLIN }
        if outgoing.wantsWrite { events |= POLLOUT }
        // A negative descriptor is passed over by poll: without it, a hang-up nobody wants would spin.
        return pollfd(fd: events == 0 ? -1 : socket.descriptor, events: Int16(events), revents: 0)
    }

    func millisecondsToWait() -> Int { pipes.values.map { $0.millisecondsToWait() }.min() ?? 1000 }

    func turn(client clientEvents: Int16, server serverEvents: Int16) {
        if !isOver && clientEvents & ~Int16(POLLOUT) != 0 { read(.toServer, from: client) }
        if !isOver && serverEvents & ~Int16(POLLOUT) != 0 { read(.toClient, from: server) }
        if !isOver { write(.toServer, to: server) }
        if !isOver { write(.toClient, to: client) }
        if pipes.values.allSatisfy(\.isFinished) { isOver = true }
    }

    func reset() {
        client.resetOnClose()
        server.resetOnClose()
        isOver = true
    }

    private func read(_ direction: CarrierDirection, from source: LoopbackSocket) {
        guard !pipes[direction]!.sourceEnded else { return }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let got = recv(source.descriptor, &chunk, chunk.count, 0)
        if got < 0 {
            if errno != EAGAIN && errno != EINTR { reset() }
            return
        }
        if got == 0 {
            pipes[direction]!.sourceEnds()
            return
        }
        for unit in pipes[direction]!.splitter.take(chunk[..<got]) { pass(unit, direction) }
    }

    private func pass(_ unit: CarrierUnit, _ direction: CarrierDirection) {
        if direction == .toServer && unit.kind == CarrierUnit.open {
            stream += 1
            pipes[.toServer]!.streamStart = pipes[.toServer]!.units
            pipes[.toClient]!.streamStart = pipes[.toClient]!.units
        }
        let pipe = pipes[direction]!
        let place = UnitPlace(
            lane: lane, carrier: number, direction: direction, index: pipe.units, stream: stream,
            indexInStream: pipe.units - pipe.streamStart)
        if !unit.isHeartbeat { pipes[direction]!.units += 1 }
        let verdict = tap.verdict(on: unit, at: place)
        pipes[direction.opposite]!.enqueue(verdict.back, delay: 0, ending: nil)
        pipes[direction]!.enqueue(verdict)
    }

    private func write(_ direction: CarrierDirection, to destination: LoopbackSocket) {
        while let piece = pipes[direction]!.nextPiece() {
            let sent = piece.withUnsafeBytes {
                $0.isEmpty ? 0 : send(destination.descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent < 0 {
                if errno != EAGAIN && errno != EINTR { reset() }
                return
            }
            switch pipes[direction]!.sent(sent) {
            case .reset?: return reset()
            case .fin?: destination.shutdownSending()
            case nil: break
            }
        }
    }
}

/// One direction through the tap.
private struct TapPipe {
    private struct Piece {
        var bytes: ArraySlice<UInt8>
        var ending: Verdict.Ending?
        var due: ContinuousClock.Instant?
    }

    var splitter = CarrierSplitter()
    var units = 0
    var streamStart = 0
    private(set) var sourceEnded = false
    private(set) var isFinished = false
    private var queue: [Piece] = []
    private var held: [UInt8] = []
    /// An ending was ordered: what comes later is thrown away.
    private var closing = false

    /// What waits to go out and may: not delayed.
    var wantsWrite: Bool { nextPiece() != nil }
    var pendingCount: Int { queue.reduce(0) { $0 + $1.bytes.count } }

    mutating func enqueue(_ verdict: Verdict) {
        let following = held
        held = verdict.afterNext
        enqueue(verdict.forward + following, delay: verdict.delay, ending: verdict.ending)
    }

    mutating func enqueue(_ bytes: [UInt8], delay: Int, ending: Verdict.Ending?) {
        guard !closing, !bytes.isEmpty || ending != nil else { return }
        let due = delay > 0 ? ContinuousClock.now + .milliseconds(delay) : nil
        queue.append(Piece(bytes: bytes[...], ending: ending, due: due))
        closing = ending != nil
    }

    /// The sender closed: what is left of an unfinished unit goes on as it is, then the FIN.
    mutating func sourceEnds() {
        sourceEnded = true
        if isFinished { return }
        enqueue(held + splitter.rest, delay: 0, ending: .fin)
    }

    func nextPiece() -> ArraySlice<UInt8>? {
        guard let first = queue.first else { return nil }
        if let due = first.due, due > .now { return nil }
        return first.bytes
    }

    /// Takes what was sent off the queue; returns the ending that is due now.
    mutating func sent(_ count: Int) -> Verdict.Ending? {
        queue[0].bytes.removeFirst(count)
        queue[0].due = nil
        guard queue[0].bytes.isEmpty else { return nil }
        let ending = queue.removeFirst().ending
        if ending != nil { isFinished = true }
        return ending
    }

    func millisecondsToWait() -> Int {
        guard let due = queue.first?.due else { return 1000 }
        return max(0, Int((due - .now) / .milliseconds(1)) + 1)
    }
}
