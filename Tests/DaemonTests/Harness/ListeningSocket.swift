// Listening sockets, and ports that are kept free for somebody else.

import CHarness
import Foundation
import Glibc

/// A listening socket.
final class ListeningSocket: Sendable {
    let endpoint: Endpoint
    private let socket: Socket

    init(on wanted: Endpoint = .loopback(), backlog: Int32 = 4096) throws {
        let fd = try boundSocket(wanted)
        socket = try Socket(owning: fd)
        guard listen(fd, backlog) == 0 else { throw SocketError(call: "listen on \(wanted)", code: errno) }
        endpoint = Endpoint.bound(to: fd) ?? wanted
    }

    /// Waits for a connection; nil once the listener was closed.
    func accept(timeout: Duration = patience) throws -> Socket? {
        while true {
            let fd = ch_accept(socket.fd)
            if fd >= 0 { return try Socket(owning: fd, timeout: timeout) }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EAGAIN: continue  // SO_RCVTIMEO, which tests of the accepting side do not want
            default: return nil
            }
        }
    }

    /// Closes it and wakes the thread that accepts.
    func close() {
        socket.interrupt()
        socket.close()
    }
}

/// A port that nobody listens on and that the kernel gives to nobody else: connections to it are
/// refused, and a daemon that sets SO_REUSEADDR may still bind it.
final class ReservedPort: Sendable {
    let endpoint: Endpoint
    private let socket: Socket

    init(on wanted: Endpoint = .loopback()) throws {
        let fd = try boundSocket(wanted)
        socket = try Socket(owning: fd)
        endpoint = Endpoint.bound(to: fd) ?? wanted
    }

    func close() { socket.close() }
}

private func boundSocket(_ wanted: Endpoint) throws -> Int32 {
    let fd = socket(wanted.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw SocketError(call: "socket", code: errno) }
    var on: Int32 = 1
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    let result = wanted.withSocketAddress { bind(fd, $0, $1) }
    guard result == 0 else {
        let code = errno
        close(fd)
        throw SocketError(call: "bind \(wanted)", code: code)
    }
    return fd
}
