// Listening sockets: made once at start, shared by all shards, stopped when a shard drains. One that cannot be bound
// yet exists all the same, so that it can be bound later while the shards already watch it.
internal import CLinux
internal import Glibc
internal import Pairing
internal import Settings

/// A non-blocking socket that listens, or will. Closed (and a unix socket's file removed) in deinit.
final class ListeningSocket: Sendable {
    let fd: Int32
    /// AF_INET, AF_INET6 or AF_UNIX.
    let family: Int32

    private struct State: ~Copyable {
        var bound: Address?
        var isListening = false
        var isStopped = false
        var file: SocketFile?
    }
    private let state = Guarded(State())

    /// Completed connections the kernel keeps until they are accepted.
    static let backlog = 4096

    /// A socket that listens nowhere yet; throws errno. `resetting` is what its connections have as `resetsByDefault`.
    init(family: Int32, resetting: Bool) throws(SocketError) {
        fd = ow_stream_socket(family)
        guard fd >= 0 else { throw SocketError(errno) }
        self.family = family
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        // SO_REUSEADDR lets a restart bind while old connections linger; SO_REUSEPORT stays off, so
        // that a forgotten second daemon is an error and not a thief of connections.
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, size)
        if family == AF_INET6 { setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, size) }
        if resetting { resetWhenClosed(fd, true) }
        keepUrgentDataInline(fd)
    }

    deinit {
        stop()
        close(fd)
    }

    /// Where it listens: the real port where 0 was asked for; nil while it does not.
    var address: Address? { state.withLock { $0.isListening ? $0.bound : nil } }

    /// Listens at `target`; throws errno, and may then be tried again. `name` is what the address is reported as
    /// unless it is TCP, whose own is.
    func listen(at target: SocketAddress, named name: Address) throws(SocketError) -> Presence {
        let result = state.withLock { state in
            Result { () throws(SocketError) in try listen(at: target, named: name, &state) }
        }
        return try result.get()
    }

    /// Whether this host has the address that a socket listens on.
    enum Presence {
        case here
        /// Not yet: connections come as soon as it has it.
        case notYet
    }

    private func listen(
        at target: SocketAddress, named name: Address, _ state: inout State
    ) throws(SocketError) -> Presence {
        guard !state.isStopped else { throw SocketError(ECANCELED) }
        guard target.isPermitted else { throw SocketError(EADDRNOTAVAIL) }
        if target.isTCP { tuneTCP(fd, staysHere: target.isLocal) }
        var presence = Presence.here
        if state.bound == nil {
            if case .unix(let path) = name { state.file = try SocketFile(path, at: target) }
            do throws(SocketError) {
                presence = try bind(to: target)
            } catch {
                state.file?.remove()
                state.file = nil
                throw error
            }
            state.file?.isOurs()
            state.bound = target.isTCP ? SocketAddress(of: fd, getsockname)?.asAddress ?? name : name
        }
        guard Glibc.listen(fd, Int32(Self.backlog)) == 0 else { throw SocketError(errno) }
        state.isListening = true
        return presence
    }

    private func bind(to target: SocketAddress) throws(SocketError) -> Presence {
        guard target.withPointer({ Glibc.bind(fd, $0, $1) }) != 0 else { return .here }
        let error = errno
        guard error == EADDRNOTAVAIL, target.isTCP else { throw SocketError(error) }
        // An address of a bridge, a VPN or another host's standby comes when it comes; the kernel lets us wait for it.
        var one: Int32 = 1
        let level = Int32(target.family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP)
        let option = target.family == AF_INET6 ? ow_ipv6_freebind : IP_FREEBIND
        setsockopt(fd, level, option, &one, socklen_t(MemoryLayout<Int32>.size))
        guard target.withPointer({ Glibc.bind(fd, $0, $1) }) == 0 else { throw SocketError(errno) }
        return .notYet
    }

    /// The kernel refuses connections from now on, and a unix socket's file is gone. The descriptor stays
    /// valid for the shards that have not noticed yet.
    func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            state.isListening = false
            shutdown(fd, Int32(SHUT_RDWR))
            state.file?.remove()
            state.file = nil
        }
    }

    /// Listens at `address`, which is no name; what cannot be had is an error.
    static func open(_ address: Address, resetting: Bool = false) throws(RelayError) -> ListeningSocket {
        guard let target = SocketAddress(literal: address) else { throw .cannotListen(address, EADDRNOTAVAIL) }
        do throws(SocketError) {
            let socket = try ListeningSocket(family: target.family, resetting: resetting)
            _ = try socket.listen(at: target, named: address)
            return socket
        } catch {
            throw .cannotListen(address, error.errno)
        }
    }
}
