// The tap's one thread: poll(2) over every carrier, two pipes each.

import Glibc

/// Owned by the tap's thread.
final class TapLoop: @unchecked Sendable {
    private let tap: HostileTap
    private let wake: Int32
    private let server: Endpoint
    private var carriers: [TapCarrier] = []

    init(tap: HostileTap, wake: Int32, server: Endpoint) {
        (self.tap, self.wake, self.server) = (tap, wake, server)
    }

    func run() {
        while true {
            let orders = tap.orders()
            for carrier in carriers where orders.stop || orders.breakLanes.contains(carrier.lane) { carrier.reset() }
            reap()
            if !orders.breakLanes.isEmpty { tap.broke(orders.breakLanes) }
            if orders.stop { return }
            for (lane, client) in orders.arrived { connect(client, lane: lane) }
            turn()
        }
    }

    private func turn() {
        var polled = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
        for carrier in carriers { polled += carrier.interest() }
        let wait = carriers.map { $0.millisecondsToWait() }.min() ?? 1000
        guard poll(&polled, nfds_t(polled.count), Int32(wait)) >= 0 else { return }
        if polled[0].revents != 0 {
            var woken = [UInt8](repeating: 0, count: 64)
            _ = read(wake, &woken, woken.count)
        }
        for (number, carrier) in carriers.enumerated() {
            carrier.turn(client: polled[1 + 2 * number].revents, server: polled[2 + 2 * number].revents)
        }
        reap()
    }

    private func connect(_ client: Socket, lane: Int) {
        guard let upstream = try? Socket.connect(to: server) else {
            try? client.reset()
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
    private let client: Socket
    private let server: Socket
    private var pipes: [CarrierDirection: TapPipe] = [.toServer: TapPipe(), .toClient: TapPipe()]
    private var stream = 0
    private(set) var isOver = false

    init(tap: HostileTap, lane: Int, number: Int, client: Socket, server: Socket) {
        (self.tap, self.lane, self.number, self.client, self.server) = (tap, lane, number, client, server)
        for socket in [client, server] {
            _ = fcntl(socket.fd, F_SETFL, O_NONBLOCK)
            try? socket.setNoDelay()
        }
    }

    func interest() -> [pollfd] {
        [interest(in: client, reading: .toServer), interest(in: server, reading: .toClient)]
    }

    private func interest(in socket: Socket, reading direction: CarrierDirection) -> pollfd {
        let incoming = pipes[direction]!
        let outgoing = pipes[direction.opposite]!
        var events: Int32 = 0
        if !incoming.sourceEnded && incoming.pendingCount < 1 << 20 { events |= POLLIN }
        if outgoing.wantsWrite { events |= POLLOUT }
        // A negative descriptor is passed over by poll: without it, a hang-up nobody wants would spin.
        return pollfd(fd: events == 0 ? -1 : socket.fd, events: Int16(events), revents: 0)
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
        try? client.reset()
        try? server.reset()
        isOver = true
    }

    private func read(_ direction: CarrierDirection, from source: Socket) {
        guard !pipes[direction]!.sourceEnded else { return }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let got = recv(source.fd, &chunk, chunk.count, 0)
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
            pipes[.toServer]!.streamFrames = 0
            pipes[.toClient]!.streamFrames = 0
        }
        let pipe = pipes[direction]!
        let place = UnitPlace(
            lane: lane, carrier: number, direction: direction, index: pipe.units, stream: stream,
            indexInStream: unit.isOfStream && stream > 0 ? pipe.streamFrames : nil)
        pipes[direction]!.units += 1
        if unit.isOfStream { pipes[direction]!.streamFrames += 1 }
        let verdict = tap.verdict(on: unit, at: place)
        pipes[direction.opposite]!.enqueue(verdict.back, delay: 0, ending: nil)
        pipes[direction]!.enqueue(verdict)
    }

    private func write(_ direction: CarrierDirection, to destination: Socket) {
        while let piece = pipes[direction]!.nextPiece() {
            let sent = piece.withUnsafeBytes {
                $0.isEmpty ? 0 : Glibc.send(destination.fd, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent < 0 {
                if errno != EAGAIN && errno != EINTR { reset() }
                return
            }
            switch pipes[direction]!.sent(sent) {
            case .reset?: return reset()
            case .fin?: try? destination.finish()
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
    var streamFrames = 0
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
