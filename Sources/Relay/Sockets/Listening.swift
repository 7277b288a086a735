// Listening sockets: made once at start, shared by all shards, stopped when a shard drains.
internal import CLinux
internal import Glibc
internal import Settings
internal import Synchronization

/// A bound, listening, non-blocking socket. Closed (and a unix socket's file removed) in deinit.
final class ListeningSocket: Sendable {
    let fd: Int32
    /// What was bound: the real port when 0 was asked for.
    let address: Address

    /// Completed connections the kernel keeps until they are accepted.
    static let backlog = 4096
    private let isStopped = Atomic(false)

    private init(fd: Int32, address: Address) {
        self.fd = fd
        self.address = address
    }

    deinit {
        stop()
        close(fd)
    }

    /// The kernel refuses connections from now on, and a unix socket's file is gone. The descriptor stays
    /// valid for the shards that have not noticed yet.
    func stop() {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        shutdown(fd, Int32(SHUT_RDWR))
        if case .unix(let path) = address { unlink(path) }
    }

    /// Binds `address`; `resetting` is what its connections have as `resetsByDefault`. A name is looked up (this is called before any shard runs).
    static func open(_ address: Address, resetting: Bool = false) throws(RelayError) -> ListeningSocket {
        guard let target = resolve(address), target.isPermitted else { throw .cannotListen(address, EADDRNOTAVAIL) }
        let fd = ow_stream_socket(target.family)
        guard fd >= 0 else { throw .cannotListen(address, errno) }
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        // SO_REUSEADDR lets a restart bind while old connections linger; SO_REUSEPORT stays off, so
        // that a forgotten second daemon is an error and not a thief of connections.
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, size)
        if target.family == AF_INET6 { setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, size) }
        if target.isTCP { tuneTCP(fd, staysHere: target.isLocal) }
        if resetting { resetWhenClosed(fd, true) }
        if case .unix(let path) = address { removeStaleSocket(path, target) }
        guard target.withPointer({ bind(fd, $0, $1) }) == 0, listen(fd, Int32(backlog)) == 0 else {
            let error = errno
            close(fd)
            throw .cannotListen(address, error)
        }
        return ListeningSocket(fd: fd, address: bound(fd, asked: address))
    }

    private static func resolve(_ address: Address) -> SocketAddress? {
        SocketAddress(literal: address) ?? Resolver.lookUp(address)?.first
    }

    /// Removes the file of a unix socket nobody listens on any more (left by a killed daemon).
    private static func removeStaleSocket(_ path: String, _ target: SocketAddress) {
        var info = stat()
        guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFSOCK else { return }
        let probe = ow_stream_socket(AF_UNIX)
        guard probe >= 0 else { return }
        defer { close(probe) }
        if target.withPointer({ connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED { unlink(path) }
    }

    private static func bound(_ fd: Int32, asked: Address) -> Address {
        guard case .tcp(let host, _) = asked else { return asked }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutableBytes(of: &storage) {
            getsockname(fd, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard result == 0, let port = SocketAddress(storage, length).port else { return asked }
        return .tcp(host: host, port: port)
    }
}
