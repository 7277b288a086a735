// Blocking TCP on loopback: the service behind the daemons and the application in front of them.
import Glibc
import Relay

/// A service on a port that the kernel chooses. The first byte of a connection says what it does with the others: `e`
/// sends them back, `s` swallows them and sends one byte when they end.
struct LoopbackService {
    let port: UInt16

    /// Starts it on a thread of its own. It ends with the process.
    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withSocketAddress(&address) { pointer in
            bind(listener, pointer, length) == 0 && listen(listener, 16) == 0
                && getsockname(listener, pointer, &length) == 0
        }
        guard listener >= 0, isListening else { throw LadderError("no service on loopback: errno \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        startThread("ladder") {
            while true {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0 else { return }
                startThread("ladder") { Self.serve(LoopbackConnection(adopting: accepted)) }
            }
        }
    }

    private static func serve(_ connection: LoopbackConnection) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        // A connection that breaks shows at its other end.
        guard (try? connection.receiveAll(UnsafeMutableRawBufferPointer(rebasing: buffer[..<1]))) != nil else { return }
        let echoes = buffer[0] == UInt8(ascii: "e")
        while let count = try? connection.receive(buffer), count > 0 {
            guard echoes else { continue }
            guard (try? connection.send(UnsafeRawBufferPointer(rebasing: buffer[..<count]))) != nil else { return }
        }
        if !echoes { try? connection.send(UnsafeRawBufferPointer(rebasing: buffer[..<1])) }
    }
}

/// A connected socket, closed when nothing refers to it any more.
final class LoopbackConnection: Sendable {
    private let descriptor: Int32

    init(adopting descriptor: Int32) {
        self.descriptor = descriptor
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        // Nothing here waits longer than this.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    convenience init(port: UInt16) throws {
        self.init(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
        var address = loopback(port: port)
        let descriptor = descriptor
        let result = withSocketAddress(&address) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        guard result == 0 else { throw LadderError("connect to port \(port): errno \(errno)") }
    }

    deinit { close(descriptor) }

    /// The next bytes; 0 at an orderly end.
    func receive(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count >= 0 else { throw LadderError("receive: errno \(errno)") }
        return count
    }

    /// Fills the whole buffer.
    func receiveAll(_ buffer: UnsafeMutableRawBufferPointer) throws {
        var filled = 0
        while filled < buffer.count {
            let count = try receive(UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            guard count > 0 else { throw LadderError("a connection ended too early") }
            filled += count
        }
    }

    /// Sends all of it.
    func send(_ bytes: UnsafeRawBufferPointer) throws {
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw LadderError("send: errno \(errno)") }
            sent += count
        }
    }

    /// Says that no more will be sent.
    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }
}

private func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
    return address
}

private func withSocketAddress<R>(_ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> R) -> R {
    withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
    }
}
