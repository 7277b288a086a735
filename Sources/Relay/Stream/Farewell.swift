// The end of an application's connection whose stream broke: what had arrived for it is written, the kernel gets time
// to deliver that, and then the connection is reset. A reset straight away would throw away what is still in the
// kernel's hands, and the application would get less than a direct connection gives it.
internal import CLinux
internal import Glibc

/// One such connection. Its shard holds it until it is over.
final class Farewell: LastingDriver, Sleeper, Lingerer {
    let ticket = Ticket()
    var isDueAgain = false
    private let app: Endpoint
    private let shard: Shard
    private var bytes: Backlog
    /// Held until the bytes have gone.
    private var place: StreamPlace?
    private var timer: Timer?
    private var pause: Nanoseconds = 1_000_000
    /// What the peer's host had not acknowledged at the last look.
    private var unacknowledged = 0
    /// When bytes last left for the application, or arrived there.
    private var movedAt: Nanoseconds
    /// How long an application is waited for that takes nothing.
    private let patience: Nanoseconds

    /// Acknowledgements come without an event, so they are looked for, ever less often up to this.
    private static let longestPause: Nanoseconds = 100_000_000

    private init(
        _ app: Endpoint, _ bytes: inout Backlog, of place: StreamPlace?, on shard: Shard
    ) {
        self.app = app
        self.place = place
        self.shard = shard
        patience = app.patience
        self.bytes = Backlog()
        movedAt = shard.now
        swap(&self.bytes, &bytes)
    }

    /// Resets `app` after what is in `bytes` and what was written before has reached it, but waits no longer than
    /// its patience for progress. At once if there is nothing to wait for, or the shard's time is over.
    static func say(
        to app: Endpoint, _ bytes: consuming Backlog, of place: StreamPlace? = nil, on shard: Shard
    ) {
        guard !shard.isCut, app.brokenBy == 0, !bytes.isEmpty || app.unacknowledged > 0 else { return app.reset() }
        // A device that has used up its backlog cannot have more of it by giving streams up.
        guard place?.holds(bytes.size(with: 0)) ?? true else { return app.reset() }
        let farewell = Farewell(app, &bytes, of: place, on: shard)
        app.driver = farewell
        app.writable = true
        shard.keep(farewell)
        farewell.advance()
    }

    func advance() {
        while !bytes.isEmpty {
            // The kernel says when there is room; whether anybody ever makes some is looked at now and then.
            guard app.writable else { return armLook() }
            switch app.send(bytes.first, bytes.count) {
            case .moved(let count):
                bytes.removeFirst(count)
                movedAt = shard.now
            case .blocked, .ended: return armLook()
            case .failed: return finish()
            }
        }
        let left = app.unacknowledged
        if left != unacknowledged { movedAt = shard.now }
        unacknowledged = left
        left > 0 && !app.failed ? armLook() : finish()
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        self.timer = nil
        guard now &- min(movedAt, now) < patience else { return finish() }
        advance()
    }

    /// The shard's time is over.
    func cut() { finish() }

    private func armLook() {
        guard timer == nil else { return }
        timer = shard.arm(self, after: pause)
        pause = min(pause * 2, Self.longestPause)
    }

    private func finish() {
        guard app.isOpen else { return }
        timer?.cancel()
        app.reset()
        bytes = Backlog()
        place = nil
        shard.forget(self)
    }
}

extension Endpoint {
    /// How long nothing may move here before what is left of a broken stream is given up. Whoever rests for so long has a
    /// full buffer of its own to read from, and a reset that it waits for must not come late. On a long way it is longer:
    /// TCP has to be able to repeat what was lost twice.
    var patience: Nanoseconds {
        guard let silence else { return 800_000_000 }
        return min(max(800_000_000, 4 * silence.pace), 5_000_000_000)
    }
}

extension ow_tcp_silence {
    /// How long the kernel waits for an acknowledgement before it repeats what it sent (RFC 6298, with Linux's least).
    var pace: Nanoseconds { (UInt64(rtt_us) &+ max(4 * UInt64(rttvar_us), 200_000)) * 1000 }
}
