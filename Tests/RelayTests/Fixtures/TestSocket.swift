// The test's own end of a connection: non-blocking, closed when it goes.
import Glibc

/// Which kind of connection a test needs: only TCP has a reset.
enum Connection: Sendable {
    case unix
    case tcp
    /// TCP that takes next to nothing that nobody reads, now or later, however long the test takes; left alone, kernels
    /// differ in this.
    case narrowTCP
}

/// One end of a connected stream.
final class TestSocket {
    enum Reading: Equatable {
        case bytes([UInt8])
        /// The other end closed its sending side in order.
        case ended
        case nothingYet
        case broken(Int32)
    }

    private(set) var fd: Int32
    /// What a read says after the other end has reset.
    static let connectionReset = ECONNRESET

    init(_ fd: Int32) { self.fd = fd }

    deinit { close() }

    /// Two raw descriptors connected to each other, both non-blocking; the caller owns them.
    static func descriptors(_ kind: Connection) -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        switch kind {
        case .unix:
            let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            precondition(socketpair(AF_UNIX, type, 0, &ends) == 0)
        case .tcp: ends = loopback()
        case .narrowTCP: ends = loopback(buffers: 4096)
        }
        return (ends[0], ends[1])
    }

    private static func loopback(buffers buffer: Int32? = nil) -> [Int32] {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let listener = socket(AF_INET, type, 0)
        let caller = socket(AF_INET, type, 0)
        if var buffer {
            setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, socklen_t(MemoryLayout<Int32>.size))
            // A buffer that is set does not grow while a slow test looks away.
            setsockopt(caller, SOL_SOCKET, SO_SNDBUF, &buffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutableBytes(of: &address) {
            let pointer = $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            precondition(bind(listener, pointer, length) == 0 && listen(listener, 1) == 0)
            precondition(getsockname(listener, pointer, &length) == 0)
            precondition(connect(caller, pointer, length) == 0)
        }
        let called = accept(listener, nil, nil)
        precondition(called >= 0)
        _ = Glibc.close(listener)
        for end in [caller, called] {
            var one: Int32 = 1
            setsockopt(end, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        return [caller, called]
    }

    /// Writes what the kernel takes now, 256 KiB at most; returns how much.
    @discardableResult func write(_ bytes: some Collection<UInt8>) -> Int {
        let bytes = Array(bytes.prefix(1 << 18))
        guard !bytes.isEmpty else { return 0 }
        return max(0, send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)))
    }

    /// Reads once, up to `most` bytes.
    func read(_ most: Int = 1 << 16) -> Reading {
        var buffer = [UInt8](repeating: 0, count: most)
        let count = recv(fd, &buffer, most, 0)
        if count > 0 { return .bytes(Array(buffer[..<count])) }
        if count == 0 { return .ended }
        return errno == EAGAIN ? .nothingYet : .broken(errno)
    }

    /// Everything that is there now, and how it went on.
    func readAll() -> (bytes: [UInt8], then: Reading) {
        var all: [UInt8] = []
        while true {
            // A reset is reported once: it must not be read away.
            let next = read()
            guard case .bytes(let more) = next else { return (all, next) }
            all += more
        }
    }

    /// No more will be written.
    func shutdownWrite() { shutdown(fd, Int32(SHUT_WR)) }

    func close() {
        guard fd >= 0 else { return }
        _ = Glibc.close(fd)
        fd = -1
    }

    /// Closes with a reset (TCP only).
    func reset() {
        var abortive = linger(l_onoff: 1, l_linger: 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &abortive, socklen_t(MemoryLayout<linger>.size))
        close()
    }
}
