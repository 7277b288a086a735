// Addresses as the configuration writes them, and as the socket calls want them.

import Foundation
import Glibc

/// Where something listens: `host:port` with a numeric host, `[v6]:port`, or `unix:/path`.
enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    case v4(String, UInt16)
    case v6(String, UInt16)
    case unix(String)

    /// IPv4 loopback; port 0 lets the kernel choose.
    static func loopback(_ port: UInt16 = 0) -> Endpoint { .v4("127.0.0.1", port) }

    init?(_ text: some StringProtocol) {
        if text.hasPrefix("unix:") {
            self = .unix(String(text.dropFirst(5)))
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            self = .v6(String(host.dropFirst().dropLast()), port)
        } else {
            self = .v4(String(host), port)
        }
    }

    var description: String {
        switch self {
        case .v4(let host, let port): "\(host):\(port)"
        case .v6(let host, let port): "[\(host)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// The TCP port; 0 for a unix socket.
    var port: UInt16 {
        switch self {
        case .v4(_, let port), .v6(_, let port): port
        case .unix: 0
        }
    }

    var family: Int32 {
        switch self {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Lends the address as a `sockaddr` for one socket call.
    func withSocketAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var storage = sockaddr_storage()
        let length = withUnsafeMutableBytes(of: &storage) { bytes in fill(bytes) }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    private func fill(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        switch self {
        case .v4(let host, let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            precondition(inet_pton(AF_INET, host, &address.sin_addr) == 1, "not a numeric IPv4 address: \(host)")
            withUnsafeBytes(of: address) { bytes.copyMemory(from: $0) }
            return MemoryLayout<sockaddr_in>.size
        case .v6(let host, let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            precondition(inet_pton(AF_INET6, host, &address.sin6_addr) == 1, "not a numeric IPv6 address: \(host)")
            withUnsafeBytes(of: address) { bytes.copyMemory(from: $0) }
            return MemoryLayout<sockaddr_in6>.size
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let capacity = MemoryLayout.size(ofValue: address.sun_path)
            precondition(path.utf8.count < capacity, "too long for a unix socket: \(path)")
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            withUnsafeBytes(of: address) { bytes.copyMemory(from: $0) }
            return MemoryLayout<sockaddr_un>.size
        }
    }

    /// The address a socket is bound to, as the kernel says.
    static func bound(to descriptor: Int32) -> Endpoint? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { return nil }
        return withUnsafeBytes(of: storage) { bytes in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let address = bytes.loadUnaligned(as: sockaddr_in.self)
                return .v4(text(AF_INET, address.sin_addr), UInt16(bigEndian: address.sin_port))
            case AF_INET6:
                let address = bytes.loadUnaligned(as: sockaddr_in6.self)
                return .v6(text(AF_INET6, address.sin6_addr), UInt16(bigEndian: address.sin6_port))
            default:
                return nil
            }
        }
    }

    private static func text<Address>(_ family: Int32, _ address: Address) -> String {
        var characters = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        _ = withUnsafeBytes(of: address) {
            inet_ntop(family, $0.baseAddress!, &characters, socklen_t(INET6_ADDRSTRLEN))
        }
        return characters.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
