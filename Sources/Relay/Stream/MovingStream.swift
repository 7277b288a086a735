// A stream between a shared carrier and its own: nothing drives it, and it may cross from one shard to another.
internal import CLinux
internal import Glibc
internal import Wire

/// What there is to know about a stream, its application's socket included. Whoever drops it without having adopted
/// the socket resets the application's connection.
///
/// Unchecked: it has one owner at a time, who gives it up when it gives it away.
final class MovingStream: @unchecked Sendable {
    let service: ServiceID
    /// How far the direction from here to the peer has come.
    let sent: StreamProgress
    /// How far the direction from the peer to here has come; all of it is here.
    let received: StreamProgress
    /// The end of that direction was passed on to the application.
    let isEndPassedOn: Bool
    private var fd: Int32
    /// What the application has not taken yet of what was received.
    private var backlog = Backlog()

    /// Takes over the socket `fd`, which resets when it is closed, and what is in `backlog`.
    init(
        _ fd: Int32, service: ServiceID, sent: StreamProgress, received: StreamProgress, isEndPassedOn: Bool,
        backlog: inout Backlog
    ) {
        self.fd = fd
        self.service = service
        self.sent = sent
        self.received = received
        self.isEndPassedOn = isEndPassedOn
        swap(&self.backlog, &backlog)
    }

    deinit { if fd >= 0 { close(fd) } }

    /// The socket on another poller; nil, and the connection reset, if the kernel refuses.
    func adopt(on poller: Poller) -> Endpoint? {
        guard let endpoint = poller.add(fd: fd) else {
            fd = -1
            return nil
        }
        fd = -1
        endpoint.resetsByDefault = true
        return endpoint
    }

    /// The waiting bytes; nil if there are none. They are there for as long as this object is.
    var waiting: iovec? { backlog.isEmpty ? nil : iovec(iov_base: backlog.first, iov_len: backlog.count) }
}
