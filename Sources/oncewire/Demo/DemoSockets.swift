// Plain blocking TCP on loopback for the demo's service, application and eavesdropper, and a way to wait for them.
// The daemons have nothing to do with this: their sockets are Relay's.
import Glibc
import Pairing
import Relay
import Settings

/// A listening socket on a port of 127.0.0.1 that the kernel chooses.
struct LoopbackListener {
    let address: Address

    private let descriptor: Int32

    init() throws {
        let listening = try makeSocket()
        var bound = loopback(port: 0)
        try check("bind", withSocketAddress(&bound) { bind(listening, $0, $1) })
        try check("listen", listen(listening, 128))
        try check(
            "getsockname",
            withSocketAddress(&bound) { pointer, length in
                var length = length
                return getsockname(listening, pointer, &length)
            })
        descriptor = listening
        address = .tcp(host: "127.0.0.1", port: UInt16(bigEndian: bound.sin_port))
    }

    /// Runs `body` for every connection, on a thread of its own, until the process ends.
    func acceptForever(_ body: @escaping @Sendable (LoopbackConnection) -> Void) {
        let descriptor = descriptor
        startThread("demo") {
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else { continue }
                let connection = LoopbackConnection(adopting: accepted)
                startThread("demo") { body(connection) }
            }
        }
    }
}

/// A connected socket; closed when nothing refers to it any more.
final class LoopbackConnection: Sendable {
    private static let chunk = 256 << 10

    private let descriptor: Int32

    init(adopting descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Connects to an address that a `LoopbackListener` or a daemon on 127.0.0.1 has.
    convenience init(to address: Address) throws {
        guard case .tcp(_, let port) = address else { throw DemoFailure("\(address) is not a TCP address") }
        self.init(adopting: try makeSocket())
        var peer = loopback(port: port)
        try check("connect to \(address)", withSocketAddress(&peer) { connect(descriptor, $0, $1) })
    }

    deinit { close(descriptor) }

    /// The next bytes; nil at an orderly end.
    func receive() throws -> [UInt8]? {
        let bytes = try [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, count in
            count = try check("receive", recv(descriptor, buffer.baseAddress, buffer.count, 0))
        }
        return bytes.isEmpty ? nil : bytes
    }

    /// Everything up to an orderly end, or the first bytes beyond `limit`.
    func receiveAll(atMost limit: Int) throws -> [UInt8] {
        var all: [UInt8] = []
        while all.count <= limit, let chunk = try receive() { all += chunk }
        return all
    }

    /// Sends all of it.
    func send(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { whole in
            var rest = whole[...]
            while !rest.isEmpty {
                let part = UnsafeRawBufferPointer(rebasing: rest)
                rest = rest.dropFirst(
                    try check(
                        "send", Glibc.send(descriptor, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))))
            }
        }
    }

    /// Says that no more will be sent; the other direction lives on.
    func finish() {
        shutdown(descriptor, Int32(SHUT_WR))
    }
}

/// Something that is done on a thread of its own.
final class Job: Sendable {
    private let problem = Guarded<(any Error)?>(nil)
    private let end = Latch()

    /// Begins it.
    init(_ body: @escaping @Sendable () throws -> Void) {
        startThread("demo") { [self] in
            do { try body() } catch { problem.withLock { $0 = error } }
            end.open()
        }
    }

    /// Waits until it is done, and throws what it threw. Called once.
    func finish() throws {
        end.wait()
        if let problem = problem.withLock({ $0 }) { throw problem }
    }
}

private func makeSocket() throws -> Int32 {
    try check("socket", socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
}

private func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
    return address
}

private func withSocketAddress(
    _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// The result of a system call; throws with errno's text if it is -1.
@discardableResult
private func check<Number: FixedWidthInteger>(_ call: String, _ result: Number) throws -> Number {
    guard result >= 0 else { throw DemoFailure("\(call): \(String(cString: strerror(errno)))") }
    return result
}
