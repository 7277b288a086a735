// Connecting a carrier's stream to its target. The link is not read meanwhile: what the client sends waits in
// the kernel.
internal import Glibc
internal import Wire

extension Carrier: Dialler {
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
