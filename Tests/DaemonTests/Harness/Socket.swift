// A plain blocking stream socket with time-outs, as an application would use it. Its calls block:
// run them inside `onThread`.

import Foundation
import Glibc
import Synchronization

/// A socket call failed; `code` is the errno.
struct SocketError: Error, Equatable, CustomStringConvertible {
    let call: String
    let code: Int32
    var description: String { "\(call): \(String(cString: strerror(code)))" }
    /// The peer reset the connection. A reset that comes after the peer's orderly end reads EPIPE instead.
    var isReset: Bool { code == ECONNRESET }
    var isTimeout: Bool { code == EAGAIN || code == ETIMEDOUT || code == EINPROGRESS }
}

/// How the peer ended its direction.
enum StreamEnd: Equatable, Sendable {
    case orderly
    case reset
}

final class Socket: Sendable {
    private let descriptor: Mutex<Int32>
    /// The number for system calls; -1 once closed.
    var fd: Int32 { descriptor.withLock { $0 } }

    init(owning fd: Int32, timeout: Duration = patience) throws {
        descriptor = Mutex(fd)
        try setTimeout(timeout)
    }

    deinit { close() }

    /// Connects, waiting at most `timeout`, which then also limits every single send and receive.
    static func connect(to endpoint: Endpoint, timeout: Duration = patience) throws -> Socket {
        let fd = socket(endpoint.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw SocketError(call: "socket", code: errno) }
        let made = try Socket(owning: fd, timeout: timeout)
        // A connect that a signal interrupted goes on in the kernel; nothing here sends signals.
        let result = endpoint.withSocketAddress { Glibc.connect(fd, $0, $1) }
        guard result == 0 else { throw SocketError(call: "connect to \(endpoint)", code: errno) }
        return made
    }

    // MARK: Sending

    func send(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try send($0) }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Sends all of it.
    func send(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let sent = Glibc.send(fd, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            if sent < 0 {
                if errno == EINTR { continue }
                throw SocketError(call: "send", code: errno)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
        }
    }

    /// Sends what fits without waiting and returns how many bytes that were; 0 means the way is blocked.
    func sendNow(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        let sent = Glibc.send(
            fd, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        if sent >= 0 { return sent }
        if errno == EAGAIN { return 0 }
        throw SocketError(call: "send", code: errno)
    }

    /// Half-close: no more bytes from this side.
    func finish() throws {
        guard shutdown(fd, Int32(SHUT_WR)) == 0 else { throw SocketError(call: "shutdown", code: errno) }
    }

    // MARK: Receiving

    /// Receives at least one byte into `buffer`; 0 is the orderly end.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let received = recv(fd, buffer.baseAddress, buffer.count, 0)
            if received >= 0 { return received }
            if errno != EINTR { throw SocketError(call: "recv", code: errno) }
        }
    }

    /// Receives one to `most` bytes; empty is the orderly end.
    func receive(upTo most: Int = 65536) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
            count = try receive(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Receives exactly `count` bytes; an earlier end throws.
    func receive(exactly count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try receive(upTo: count - bytes.count)
            guard !more.isEmpty else { throw SocketError(call: "recv: early end after \(bytes.count)", code: 0) }
            bytes += more
        }
        return bytes
    }

    /// Receives until the orderly end; a reset throws.
    func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let more = try receive()
            if more.isEmpty { return bytes }
            bytes += more
        }
    }

    /// Receives until the end, whichever it is; a time-out throws.
    func receiveToAnyEnd() throws -> (bytes: [UInt8], end: StreamEnd) {
        var bytes: [UInt8] = []
        while true {
            do {
                let more = try receive()
                if more.isEmpty { return (bytes, .orderly) }
                bytes += more
            } catch let error as SocketError where error.isReset {
                return (bytes, .reset)
            }
        }
    }

    /// Waits for a reset without receiving anything: what a stalled peer sees of it. False after `limit`.
    func waitForReset(within limit: Duration) -> Bool {
        // A reset is reported whether asked for or not.
        var interest = pollfd(fd: fd, events: 0, revents: 0)
        let milliseconds = Int32(limit / .milliseconds(1))
        return poll(&interest, 1, milliseconds) == 1 && interest.revents & Int16(POLLERR) != 0
    }

    // MARK: Ending and options

    func close() {
        descriptor.withLock { fd in
            if fd >= 0 { _ = Glibc.close(fd) }
            fd = -1
        }
    }

    /// Ends the connection with a TCP reset instead of a FIN.
    func reset() throws {
        try set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
        close()
    }

    /// Wakes a thread that is blocked in this socket and ends both directions.
    func interrupt() { _ = shutdown(fd, Int32(SHUT_RDWR)) }

    func setTimeout(_ timeout: Duration) throws {
        let (seconds, attoseconds) = timeout.components
        let limit = timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
        try set(SOL_SOCKET, SO_RCVTIMEO, limit)
        try set(SOL_SOCKET, SO_SNDTIMEO, limit)
    }

    /// Sends small writes at once (TCP_NODELAY).
    func setNoDelay() throws { try set(Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1)) }

    /// Makes the kernel's receive buffer small, so that a reader who stops is felt soon.
    func setReceiveBuffer(_ bytes: Int32) throws { try set(SOL_SOCKET, SO_RCVBUF, bytes) }

    func setSendBuffer(_ bytes: Int32) throws { try set(SOL_SOCKET, SO_SNDBUF, bytes) }

    private func set<Value>(_ level: Int32, _ option: Int32, _ value: Value) throws {
        let result = withUnsafeBytes(of: value) {
            setsockopt(fd, level, option, $0.baseAddress, socklen_t($0.count))
        }
        guard result == 0 else { throw SocketError(call: "setsockopt", code: errno) }
    }
}
