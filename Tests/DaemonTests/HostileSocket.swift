// Plain blocking sockets on loopback for the hostile tests: exact about how a connection ended, which is
// what those tests are about.

import Glibc

/// How the receiving side of a connection ended.
enum ReceivedEnd: Sendable, Hashable {
    /// EOF: the other side closed in order.
    case orderly
    /// ECONNRESET and the like.
    case reset
    /// Nothing for longer than the socket's receive time-out.
    case silence
    /// The asked-for count arrived; the end has not been looked at.
    case enough
}

struct SocketFailure: Error, CustomStringConvertible {
    let call: String
    let code: Int32
    var description: String { "\(call): \(String(cString: strerror(code)))" }

    init(_ call: String) {
        self.call = call
        code = errno
    }
}

/// A TCP socket on 127.0.0.1; closed when the last reference goes.
final class LoopbackSocket: Sendable {
    let descriptor: Int32

    init(adopting descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Connects to `port`; `receiveTimeout` in seconds bounds every later receive and send.
    convenience init(connectingTo port: UInt16, receiveTimeout: Double = 10) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure("socket") }
        self.init(adopting: descriptor)
        setTimeout(receiveTimeout)
        var address = Self.address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw SocketFailure("connect to port \(port)") }
    }

    /// Listens on `port`, or on a free one if it is 0.
    static func listening(on port: UInt16 = 0, backlog: Int32 = 1024) throws -> LoopbackSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure("socket") }
        let socket = LoopbackSocket(adopting: descriptor)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = Self.address(port)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0 else { throw SocketFailure("bind to port \(port)") }
        guard listen(descriptor, backlog) == 0 else { throw SocketFailure("listen") }
        return socket
    }

    /// The port this socket is bound to.
    var port: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Waits for a connection; nil when the listening socket was shut down.
    func accept(receiveTimeout: Double = 10) -> LoopbackSocket? {
        while true {
            let accepted = Glibc.accept(descriptor, nil, nil)
            if accepted >= 0 {
                _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
                let socket = LoopbackSocket(adopting: accepted)
                socket.setTimeout(receiveTimeout)
                return socket
            }
            if errno != EINTR && errno != ECONNABORTED { return nil }
        }
    }

    func setTimeout(_ seconds: Double) {
        var time = timeval(tv_sec: Int(seconds), tv_usec: Int((seconds - seconds.rounded(.down)) * 1e6))
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends everything, or says false if the connection broke or stood still on the way.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Receives until the end, or until `count` bytes are there.
    func receive(atMost count: Int = .max) -> (bytes: [UInt8], end: ReceivedEnd) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(count, 65536))
        while bytes.count < count {
            let got = recv(descriptor, &chunk, min(chunk.count, count - bytes.count), 0)
            if got > 0 {
                bytes.append(contentsOf: chunk[..<got])
            } else if got == 0 {
                return (bytes, .orderly)
            } else if errno == EAGAIN || errno == EWOULDBLOCK {
                return (bytes, .silence)
            } else if errno != EINTR {
                return (bytes, .reset)
            }
        }
        return (bytes, .enough)
    }

    func shutdownSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Wakes whoever is blocked in a call on this socket.
    func shutdownBoth() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Makes the close that follows send a RST.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
