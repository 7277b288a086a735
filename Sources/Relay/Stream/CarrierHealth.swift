// Is the peer still there? Asked only when it can be answered:
//
// - An end that has sent nothing for a heartbeat says PING, whatever it hears: the other end may be
//   sending more than the link takes, and its own PING would wait behind all of that.
// - A carrier that is being read asks with PING when it has heard nothing for a heartbeat, and is given
//   up when it has heard nothing for the dead-peer time. To hear is to verify a whole frame, so a link
//   must carry the largest frame (64 KiB) within that time: 2.2 KiB/s with the default of 30 s.
// - A carrier that is not being read, because the application (or the target's connect) makes it wait,
//   cannot hear. It says PING by itself, so that the other end, which may be waiting to send, knows
//   that this one lives; and it asks the kernel whether the peer still acknowledges.
//
// TCP_USER_TIMEOUT is of no use here: it ends a connection whose peer is alive and keeps its window
// shut, which is just what an application that rests looks like.
internal import CLinux
internal import Codec
internal import Glibc

extension Carrier {
    /// Arms the next look at the peer.
    func armHeartbeat() {
        // Rounded up to a sixteenth of a heartbeat, so that idle carriers wake the loop together.
        guard phase != .leaving, phase != .departing else {
            heartbeat = shard.arm(self, after: phase == .departing ? endpoint.patience : 1_000_000_000)
            return
        }
        let grain = max(timings.heartbeat / 16, 1_000_000)
        let next = (shard.now &+ timings.heartbeat &+ grain &- 1) / grain &* grain
        let giveUp = max(link.lastHeard &+ timings.deadAfter, shard.now)
        heartbeat = shard.arm(self, after: min(next, giveUp) &- shard.now)
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === rest {
            rest = nil
            return advance()
        }
        if timer === breakLook { return lookAtBreak(now) }
        guard phase != .closed, !linkIsGone else { return }
        if phase == .leaving || phase == .departing {
            // What the peer's kernel has is not lost any more.
            let isThrough = phase == .leaving && endpoint.unacknowledged == 0
            let limit = phase == .departing ? endpoint.patience : timings.deadAfter
            guard !isThrough, rested(now) < limit else { return end(verdict) }
        } else if phase == .moving, now &- min(movingSince, now) >= timings.deadAfter {
            return lost(.local(.streamDidNotCome))
        } else if isStalled {
            // Silence means nothing while nobody listens.
            link.lastHeard = now
            if link.kernelMissesPeer(for: timings.deadAfter) { return lost(.link(.hostGone)) }
            link.due.insert(.ping)
        } else {
            let silence = link.quiet(now)
            if silence >= timings.deadAfter { return lost(.link(.silent(silence))) }
            let isSilent = link.hasSentNothing
            if isSilent || silence >= timings.heartbeat / 2, phase != .confirming { link.due.insert(.ping) }
        }
        app?.tuneNow()
        if first?.isSettled(now: now, self) == true { first = nil }
        if let sharing { for stream in Array(sharing.streams.values) { stream.look(now) } }
        guard phase != .closed else { return }
        link.sentAtHeartbeat = link.framesSent
        weighStream()
        armHeartbeat()
        advance()
    }

    /// Something broke, and what came before is still on its way: looks at whether it moves.
    func watchBreak() {
        guard breakLook == nil, phase == .streaming, link.failed || app?.failed == true || app?.brokenBy ?? 0 != 0
        else {
            return
        }
        breakLook = shard.arm(self, after: endpoint.patience / 2)
    }

    private func lookAtBreak(_ now: Nanoseconds) {
        breakLook = nil
        guard phase == .streaming, !linkIsGone else { return }
        guard rested(now) >= endpoint.patience / 2 else { return watchBreak() }
        if link.failed { return lost(.link(.restAfterBreak)) }
        if let app, app.failed || app.brokenBy != 0 {
            applicationBroke(app.brokenBy != 0 ? app.brokenBy : app.takeError())
        }
    }

    /// How long no byte has left for the link or for the application.
    private func rested(_ now: Nanoseconds) -> Nanoseconds { now &- min(movedAt, now) }
}
