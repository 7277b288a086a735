// One end of an exchange: an application on a client's machine, or a target on the server's. It follows its script and
// holds what comes against what the other one sent: the promises are looked at here.
import CWorld
import Glibc

/// An end of one connection to a daemon, or from one.
final class Party {
    enum Role { case app, target }
    enum Ending {
        /// The peer closed its side, and everything had come.
        case end
        /// Reset, refused, or it could not be had.
        case broken(Int32)
    }

    let id: UInt64
    let role: Role
    /// Which exchange; a target learns it from the first bytes.
    private(set) var exchange: Exchange?
    /// The port of the service, and where the application's machine is (applications only).
    let service: Int
    private(set) var fd: Int32
    private unowned let day: Day

    private var steps: ArraySlice<Step> = []
    private(set) var sent = 0
    private var leftToSend = 0
    private(set) var received = 0
    private(set) var peer: Party?
    private var first: [UInt8] = []
    private var isDeaf = false
    private var hasConnected = false
    private var waitsUntil: UInt64 = 0
    /// It closed its sending side in order, having sent all of `sent`.
    private(set) var hasFinished = false
    /// It reset the connection.
    private(set) var hasReset = false
    private(set) var ending: Ending?
    private(set) var isDone = false
    private(set) var movedAt: UInt64

    /// An application, which connects to the client's daemon.
    init(_ id: UInt64, _ exchange: Exchange, on day: Day) {
        self.id = id
        self.exchange = exchange
        self.day = day
        role = .app
        service = exchange.service
        movedAt = cw_now()
        steps = exchange.script.app[...]
        fd = day.connect(to: exchange.service, from: exchange.device)
        if fd < 0 { finish(.broken(errno)) }
    }

    /// A target's connection that was accepted.
    init(_ id: UInt64, accepted fd: Int32, by service: Int, on day: Day) {
        self.id = id
        self.fd = fd
        self.service = service
        self.day = day
        role = .target
        hasConnected = true
        movedAt = cw_now()
    }

    // MARK: Going on

    /// The connection has news, or a pause has ended.
    func advance() {
        guard !isDone else { return }
        if !hasConnected {
            var error: Int32 = 0
            var size = socklen_t(4)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size)
            guard error == 0 else { return finish(.broken(error)) }
            hasConnected = true
        }
        if !isDeaf { read() }
        while !isDone, follow() {}
        if !isDone, steps.isEmpty, hasFinished, case .end? = ending { finish(.end) }
    }

    /// Does the next step, as far as it goes. True if it is done.
    private func follow() -> Bool {
        guard let step = steps.first else { return false }
        switch step {
        case .send(let count, let pieces):
            if leftToSend == 0 { leftToSend = count }
            while leftToSend > 0 {
                let some = send(min(leftToSend, pieces))
                guard some > 0 else { return false }
                leftToSend -= some
            }
        case .expect(let count): guard received >= count else { return false }
        case .pause(let duration):
            if waitsUntil == 0 {
                waitsUntil = cw_now() + duration
                day.wake(self, at: waitsUntil)
            }
            guard cw_now() >= waitsUntil else { return false }
            waitsUntil = 0
            movedAt = cw_now()
        case .deafness(let now):
            isDeaf = now
            if !now { read() }
        case .finish:
            guard !isDone else { return false }
            shutdown(fd, Int32(SHUT_WR))
            hasFinished = true
        case .awaitEnd: guard ending != nil else { return false }
        case .reset:
            hasReset = true
            finish(.broken(0))
            return false
        }
        if !steps.isEmpty { steps.removeFirst() }
        return true
    }

    private func send(_ count: Int) -> Int {
        let bytes = UnsafeMutableRawBufferPointer(rebasing: day.scratch[..<min(count, day.scratch.count)])
        Payload.fill(bytes, id, from: sent)
        let taken = Glibc.send(fd, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        guard taken >= 0 else {
            if errno != EAGAIN { finish(.broken(errno)) }
            return 0
        }
        sent += taken
        movedAt = cw_now()
        if let peer, !peer.isDone { day.promises.bounded(sent - peer.received, self) }
        return taken
    }

    // MARK: What comes

    private func read() {
        while ending == nil, !isDone {
            let got = recv(fd, day.scratch.baseAddress, day.scratch.count, 0)
            if got > 0 {
                take(UnsafeRawBufferPointer(rebasing: day.scratch[..<got]))
            } else if got == 0 {
                ended()
            } else if errno == EAGAIN {
                return
            } else {
                finish(.broken(errno))
            }
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        movedAt = cw_now()
        if peer == nil {
            let needed = Payload.header - first.count
            first += bytes.prefix(needed)
            if first.count == Payload.header {
                learn(first.withUnsafeBytes { $0.load(fromByteOffset: 8, as: UInt64.self) })
            }
        }
        let promised = peer?.id ?? 0
        let known = peer == nil ? min(bytes.count, 8 - received) : bytes.count
        if known > 0, !Payload.matches(UnsafeRawBufferPointer(rebasing: bytes[..<known]), promised, from: received) {
            let origin = day.origin(of: UnsafeRawBufferPointer(rebasing: bytes[..<known]), promised, received)
            day.promises.broken(
                "bytes \(received) to \(received + bytes.count) are not what was sent (\(origin))", self)
        }
        received += bytes.count
        if let peer, received > peer.sent { day.promises.broken("\(received) bytes came of \(peer.sent)", self) }
    }

    private func learn(_ other: UInt64) {
        guard let found = day.parties[other] else { return day.promises.broken("its bytes are nobody's", self) }
        guard found.role != role else { return day.promises.broken("its bytes are those of its own side", self) }
        day.promises.paired(self, found)
        peer = found
        if found.peer == nil { found.meet(self) }
        if role == .target, let exchange = found.exchange {
            self.exchange = exchange
            exchange.target = self
            steps = exchange.script.target[...]
        }
    }

    /// `other` has learned that this one is its peer, which may not have heard anything itself.
    private func meet(_ other: Party) { if role == .target { peer = other } }

    private func ended() {
        ending = .end
        if let peer {
            day.promises.endedInOrder(self, peer)
        } else if received > 0 {
            day.promises.broken("an orderly end after \(received) bytes, which nobody sent", self)
        } else {
            day.promises.endedEmpty(self)
        }
        // A target that nobody has told anything has nothing to do.
        if exchange == nil { steps = [.finish] }
    }

    private func finish(_ result: Ending) {
        isDone = true
        if ending == nil { ending = result }
        if case .broken = result, fd >= 0 {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
        let had = fd
        fd = -1
        day.isDone(self, had: had)
        if had >= 0 { close(had) }
    }

    /// The day ends: whatever this party was about to do.
    func leave() { if !isDone { finish(.broken(0)) } }

    var account: String {
        let kind = role == .app ? "application" : "target"
        let device = exchange.map { " of device \($0.device)" } ?? ""
        return "\(kind) \(id)\(device) at service \(service): sent \(sent), received \(received)"
            + (hasFinished ? ", finished" : "") + (hasReset ? ", reset" : "") + (isDone ? ", done" : "")
            + (ending.map { ", \($0)" } ?? "") + (steps.first.map { ", next \($0)" } ?? "")
    }
}

/// A connection of an application and what came of it.
final class Exchange {
    let number: UInt64
    let device: Int
    let service: Int
    let script: Script
    weak var target: Party?

    init(_ number: UInt64, _ kind: Script.Kind = .usual, device: Int, service: Int, heavies: Bool) {
        self.number = number
        self.device = device
        self.service = service
        script = Script(number, kind, heavies: heavies)
    }
}
