// One shard's share of a listening socket: accepts in batches, and pauses instead of spinning when
// descriptors run out.
internal import CLinux
internal import Glibc
internal import Wire

/// Who takes the connections of listeners.
protocol Host: AnyObject {
    /// Whether one more connection is within the limit; asked before each.
    var mayAccept: Bool { get }
    /// A new non-blocking socket, which is the host's from now on.
    func accepted(_ fd: Int32, from address: SocketAddress, by listener: Listener)
}

/// Accepts connections of one listening socket on one shard.
final class Listener: Acceptor, LastingDriver, Sleeper {
    var isDueAgain = false
    let socket: ListeningSocket
    private let shard: Shard
    private let host: any Host
    /// Whose connections these are (client only).
    let service: ServiceID?
    /// Whether their streams share a carrier (client only).
    var sharesCarriers: Bool
    private var pause: Timer?
    private var isOpen = false

    /// Connections taken in one go before the others on the shard have their turn.
    private static let batch = 64
    /// How long accepting rests when a resource has run out.
    private static let rest: Nanoseconds = 50_000_000

    init(
        _ socket: ListeningSocket, on shard: Shard, for host: any Host, service: ServiceID? = nil,
        sharesCarriers: Bool = false
    ) {
        self.socket = socket
        self.shard = shard
        self.host = host
        self.service = service
        self.sharesCarriers = sharesCarriers
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

    /// Accepts nothing more on this shard: others go on, or `isLast` and the kernel resets what nobody has taken.
    func leave(isLast: Bool) {
        guard isOpen else { return }
        isOpen = false
        pause?.cancel()
        shard.poller.remove(listener: socket.fd)
        if isLast { socket.stop() }
    }

    func accept() {
        if acceptBatch() { shard.again(self) }
    }

    /// Takes up to `batch` connections. True if there may be more.
    private func acceptBatch() -> Bool {
        guard isOpen, pause == nil else { return false }
        for _ in 0..<Self.batch {
            guard host.mayAccept else { return rest("connection limit reached") }
            var from = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let fd = ow_accept(socket.fd, &from, &length)
            if fd >= 0 {
                // TCP has it from the listener.
                if socket.family == AF_UNIX { keepUrgentDataInline(fd) }
                host.accepted(fd, from: SocketAddress(from, length), by: self)
                guard isOpen else { return false }
                continue
            }
            switch errno {
            // EINVAL: it does not listen yet, or not any more.
            case EAGAIN, EINVAL: return false
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
