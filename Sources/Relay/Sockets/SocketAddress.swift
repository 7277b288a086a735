// Kernel socket addresses: made from settings, from the resolver and from accept.
internal import CLinux
internal import Glibc
internal import Settings
internal import Wire

/// A sockaddr of any family the daemon uses.
struct SocketAddress: Sendable {
    private var storage = sockaddr_storage()
    let length: socklen_t

    var family: Int32 { Int32(storage.ss_family) }
    var isTCP: Bool { family == AF_INET || family == AF_INET6 }

    init(_ storage: sockaddr_storage, _ length: socklen_t) {
        self.storage = storage
        self.length = length
    }

    init(copying address: UnsafePointer<sockaddr>, _ length: socklen_t) {
        self.length = min(length, socklen_t(MemoryLayout<sockaddr_storage>.size))
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(min(length, socklen_t($0.count)))))
        }
    }

    /// What `ask` (getsockname, getpeername) says of a socket; nil if it fails.
    init?(
        of fd: Int32, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutableBytes(of: &storage) {
            ask(fd, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard result == 0 else { return nil }
        self.length = length
    }

    /// The address itself when no name has to be looked up: an IP literal or a unix path.
    init?(literal address: Address) {
        switch address {
        case .unix(let path): self.init(unixPath: path)
        case .tcp(let host, let port): self.init(host: host, port: port)
        }
    }

    private init?(host: String, port: UInt16) {
        var v4 = sockaddr_in()
        if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: v4, as: sockaddr_in.self) }
            return
        }
        var v6 = sockaddr_in6()
        guard inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 else { return nil }
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: v6, as: sockaddr_in6.self) }
    }

    private init?(unixPath path: String) {
        var unix = sockaddr_un()
        unix.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: unix.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: bytes) }
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
        withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: unix, as: sockaddr_un.self) }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafeBytes(of: storage) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) }
    }

    /// The port, for TCP.
    var port: UInt16? {
        withUnsafeBytes(of: storage) { bytes in
            switch family {
            case AF_INET: UInt16(bigEndian: bytes.load(as: sockaddr_in.self).sin_port)
            case AF_INET6: UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port)
            default: nil
            }
        }
    }

    /// The same address with another port.
    func with(port: UInt16) -> SocketAddress {
        var copy = self
        withUnsafeMutableBytes(of: &copy.storage) { bytes in
            switch family {
            case AF_INET:
                bytes.storeBytes(
                    of: port.bigEndian, toByteOffset: MemoryLayout<sockaddr_in>.offset(of: \.sin_port)!, as: UInt16.self
                )
            case AF_INET6:
                bytes.storeBytes(
                    of: port.bigEndian, toByteOffset: MemoryLayout<sockaddr_in6>.offset(of: \.sin6_port)!,
                    as: UInt16.self)
            default: break
            }
        }
        return copy
    }

    /// The 4 or 16 address bytes, for TCP; IPv4 mapped into IPv6 counts as IPv4.
    var ipBytes: [UInt8]? {
        withUnsafeBytes(of: storage) { bytes in
            switch family {
            case AF_INET: return withUnsafeBytes(of: bytes.load(as: sockaddr_in.self).sin_addr) { Array($0) }
            case AF_INET6:
                let all = withUnsafeBytes(of: bytes.load(as: sockaddr_in6.self).sin6_addr) { Array($0) }
                let isMapped = all[0..<10].allSatisfy { $0 == 0 } && all[10] == 0xFF && all[11] == 0xFF
                return isMapped ? Array(all[12...]) : all
            default: return nil
            }
        }
    }

    /// Whether what is sent there stays on this host: 127.0.0.0/8, ::1, a unix socket.
    var isLocal: Bool {
        guard isTCP else { return family == AF_UNIX }
        guard let bytes = ipBytes else { return false }
        return bytes.count == 4 ? bytes[0] == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// All addresses of this host: 0.0.0.0, ::.
    var isWildcard: Bool { ipBytes?.allSatisfy { $0 == 0 } == true }

    /// As OPEN carries it.
    var source: SourceAddress {
        guard let port else { return .none }
        return withUnsafeBytes(of: storage) { bytes in
            if family == AF_INET {
                return .v4(UInt32(bigEndian: bytes.load(as: sockaddr_in.self).sin_addr.s_addr), port: port)
            }
            let address = withUnsafeBytes(of: bytes.load(as: sockaddr_in6.self).sin6_addr) {
                UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self))
            }
            // IPv4 mapped into IPv6.
            guard address >> 32 == 0xFFFF else { return .v6(address, port: port) }
            return .v4(UInt32(truncatingIfNeeded: address), port: port)
        }
    }

    /// The address as a configuration writes it; nil for a unix socket.
    var asAddress: Address? {
        guard isTCP, let port else { return nil }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let result = withPointer {
            getnameinfo($0, $1, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
        }
        guard result == 0 else { return nil }
        return .tcp(
            host: String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self), port: port)
    }

    /// For logs: `host:port` or `a unix socket`.
    var text: String {
        guard isTCP else { return "a unix socket" }
        return asAddress.map { "\($0)" } ?? "?"
    }
}

extension SocketAddress: Hashable {
    static func == (a: SocketAddress, b: SocketAddress) -> Bool {
        a.length == b.length && a.withBytes { first in b.withBytes { first.elementsEqual($0) } }
    }

    func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }

    private func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeBytes(of: storage) { body(UnsafeRawBufferPointer(rebasing: $0[..<min(Int(length), $0.count)])) }
    }
}

/// Chooses what closing a socket means: a reset (the peer cannot take it for an orderly end, whoever closes
/// it, the kernel at the death of the process included), or the ordinary FIN. Inherited from a listener.
func resetWhenClosed(_ fd: Int32, _ resets: Bool) {
    var option = linger(l_onoff: resets ? 1 : 0, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
}

extension SocketAddress {
    /// The other end of the connected socket `fd`; nil if it is not connected any more.
    init?(peerOf fd: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutableBytes(of: &storage) {
            getpeername(fd, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard result == 0 else { return nil }
        self.init(storage, length)
    }
}

/// A socket call that failed.
struct SocketError: Error {
    let errno: Int32
    init(_ errno: Int32) { self.errno = errno }
}
