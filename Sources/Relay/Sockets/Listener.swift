// One shard's share of a listening socket: accepts in batches, and pauses instead of spinning when
// descriptors run out.
internal import CLinux
internal import Glibc

/// Accepts connections of one listening socket on one shard.
final class Listener: Acceptor, Driver, Sleeper {
    private let socket: ListeningSocket
    private let shard: Shard
    private let mayAccept: () -> Bool
    private let accepted: (Int32, SocketAddress) -> Void
    private var pause: Timer?
    private var isOpen = false

    /// Connections taken in one go before the others on the shard have their turn.
    private static let batch = 64
    /// How long accepting rests when a resource has run out.
    private static let rest: Nanoseconds = 50_000_000

    /// `accepted` gets each new non-blocking socket, which it owns from then on; `mayAccept` is asked
    /// before each.
    init(
        _ socket: ListeningSocket, on shard: Shard, mayAccept: @escaping () -> Bool,
        accepted: @escaping (Int32, SocketAddress) -> Void
    ) {
        self.socket = socket
        self.shard = shard
        self.mayAccept = mayAccept
        self.accepted = accepted
    }

    /// Begins to accept.
    func open() { isOpen = shard.poller.add(listener: socket.fd, self) }

    /// Takes the connections the kernel has already completed, and accepts nothing from then on.
    func close() {
        guard isOpen else { return }
        for _ in 0..<ListeningSocket.backlog / Self.batch where acceptBatch() { continue }
        isOpen = false
        pause?.cancel()
        shard.poller.remove(listener: socket.fd)
        socket.stop()
    }

    func accept() {
        if acceptBatch() { shard.again(self) }
    }

    /// Takes up to `batch` connections. True if there may be more.
    private func acceptBatch() -> Bool {
        guard isOpen, pause == nil else { return false }
        for _ in 0..<Self.batch {
            guard mayAccept() else { return rest("connection limit reached") }
            var from = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let fd = ow_accept(socket.fd, &from, &length)
            if fd >= 0 {
                accepted(fd, SocketAddress(from, length))
                guard isOpen else { return false }
                continue
            }
            switch errno {
            case EAGAIN: return false
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return rest(errorText(errno))
            default: continue  // ECONNABORTED, EINTR and errors of the network: that connection only
            }
        }
        return true
    }

    func advance() { accept() }

    func wake(_ timer: Timer, now: Nanoseconds) {
        pause = nil
        accept()
        if pause == nil, isOpen { shard.emit(.acceptResumed) }
    }

    private var lastPauseReported: Nanoseconds = 0

    private func rest(_ why: String) -> Bool {
        pause = shard.arm(self, after: Self.rest)
        guard shard.now &- lastPauseReported > 1_000_000_000 else { return false }
        lastPauseReported = shard.now
        shard.emit(.acceptPaused(why))
        return false
    }
}
