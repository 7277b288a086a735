// Connecting a stream to its target. The link of a carrier that has no other stream is not read meanwhile: what the
// client sends waits in the kernel.
internal import Glibc
internal import Wire

/// A stream that the client asks for, until its target is connected.
protocol TargetSeeker: Dialler {
    /// It still wants the target.
    var awaitsTarget: Bool { get }
    /// Connects to one of `addresses` within `limit` nanoseconds.
    func dial(_ addresses: [SocketAddress], limit: Nanoseconds)
    /// The target cannot be had: says why.
    func refuse(_ reason: CloseReason)
    /// The conversation that it belongs to is over.
    func outlivedConversation()
}

extension SharedStream: TargetSeeker {
    func outlivedConversation() {
        refuse(.draining)
        carrier.retire()
    }
}

extension Carrier: TargetSeeker {
    var awaitsTarget: Bool { phase == .dialing }

    func outlivedConversation() { end(.orderly) }

    /// Connects to one of `addresses` within `limit` nanoseconds (server, dialing only).
    func dial(_ addresses: [SocketAddress], limit: Nanoseconds) {
        let dial = Dial(addresses, on: shard, for: self)
        self.dial = dial
        dial.start(limit: limit)
    }

    func dialled(_ result: DialResult) {
        dial = nil
        switch result {
        case .connected(let target):
            resetWhenClosed(target.fd, true)
            target.resetsByDefault = true
            connected(target)
        case .failed(ECONNREFUSED): refuse(.targetRefused)
        case .failed: refuse(.targetUnreachable)
        case .timedOut: refuse(.targetTimedOut)
        }
    }
}
