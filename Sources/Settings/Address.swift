// Where to listen or connect: text to value and back. Pure values; no name is resolved here.

internal import Glibc

/// An endpoint of the transport layer.
///
/// Equal endpoints are equal values as far as text can tell: IPv6 is kept in the form of RFC 5952, host names in
/// lower case.
package enum Address: Hashable, Sendable, CustomStringConvertible {
    /// A TCP port of an IPv4 address, an IPv6 address (without brackets, perhaps with `%zone`) or a host name.
    case tcp(host: String, port: UInt16)
    /// A unix stream socket in the file system.
    case unix(path: String)

    /// The longest path `sockaddr_un.sun_path` (108 bytes) holds with its terminating zero.
    package static let mostPathBytes = 107

    /// Parses `host:port`, `[v6]:port` or `unix:/path`. A relative path is accepted here; see `resolved(against:)`.
    package init(_ text: String) throws(Complaint) {
        guard !hasControlCharacter(text) else {
            throw Complaint("\(quoted(text)) is not an address", Self.forms)
        }
        if let path = text.dropping(prefix: "unix:") {
            self = .unix(path: try Self.socketPath(path, in: text))
        } else if text.hasPrefix("/") {
            throw Complaint("\(quoted(text)) has no port", "for a socket in the file system, write unix:/PATH")
        } else {
            self = try Self.tcp(text)
        }
    }

    /// `host:port`, `[v6]:port` or `unix:/path`; parses back to an equal value.
    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// The same address with a relative socket path made absolute below `directory`.
    func resolved(against directory: String) throws(Complaint) -> Address {
        guard case .unix(let path) = self else { return self }
        let absolute = absolutePath(path, in: directory)
        guard absolute.utf8.count <= Self.mostPathBytes else {
            throw Complaint(
                "the socket path \(quoted(absolute)) is \(absolute.utf8.count) bytes long, Linux allows \(Self.mostPathBytes)",
                "choose a shorter path")
        }
        return .unix(path: absolute)
    }

    /// True if no other host can connect here: a loopback address, `localhost`, or a socket in the file system.
    var isOfThisHostAlone: Bool {
        guard case .tcp(let host, _) = self else { return true }
        let isIPv4 = host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        if isIPv4 { return host.hasPrefix("127.") }
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        return host == "::1" || host.hasPrefix("::ffff:127.") || name == "localhost" || name.hasSuffix(".localhost")
    }

    // MARK: Parts

    private static let forms = "write HOST:PORT, \"[IPV6]:PORT\" or unix:/PATH"

    private static func socketPath(_ path: String, in text: String) throws(Complaint) -> String {
        guard let first = path.first, !path.hasSuffix("/") else {
            throw Complaint("\(quoted(text)) names no socket", "write unix:/PATH with the path of a socket")
        }
        guard first != "@" else {
            throw Complaint("\(quoted(text)) is an abstract socket, which anyone may connect to", "write unix:/PATH")
        }
        if let complaint = shellsWork(path, in: text, such: "unix:/run/oncewire/NAME.sock") { throw complaint }
        guard path.utf8.count <= mostPathBytes else {
            throw Complaint(
                "the socket path \(quoted(path)) is \(path.utf8.count) bytes long, Linux allows \(mostPathBytes)",
                "choose a shorter path")
        }
        return path
    }

    private static func tcp(_ text: String) throws(Complaint) -> Address {
        guard !text.contains("://") else {
            throw Complaint("\(quoted(text)) has a scheme", "write HOST:PORT alone")
        }
        if isDigits(text[...]) {
            throw Complaint("\(quoted(text)) is a port without a host", withHost(text[...]))
        }
        if canonicalIPv6(text[...]) != nil, text.utf8.count(where: { $0 == 0x3A }) < 7 {
            throw Complaint(
                "\(quoted(text)) is not HOST:PORT",
                "put an IPv6 address in brackets and a port behind it: \"[::1]:7700\"")
        }
        guard let colon = text.lastIndex(of: ":"), text.last != "]" else {
            throw Complaint("\(quoted(text)) has no port", forms)
        }
        let host = text[..<colon]
        let port = try port(text[text.index(after: colon)...], in: text)
        if host.first == "[" || host.contains(":") {
            guard host.first == "[", host.last == "]" else {
                throw Complaint("\(quoted(text)) is not HOST:PORT", "put an IPv6 address in brackets: \"[::1]:7700\"")
            }
            guard let canonical = canonicalIPv6(host.dropFirst().dropLast()) else {
                throw Complaint("\(quoted(String(host))) is not an IPv6 address", "write \"[IPV6]:PORT\"")
            }
            guard !isLinkLocal(canonical) || canonical.contains("%") else {
                throw Complaint(
                    "\(quoted(text)) is a link-local address without its interface, and there may be several",
                    "name the interface behind %: \"[\(canonical)%eth0]:\(port)\"")
            }
            return .tcp(host: canonical, port: port)
        }
        return .tcp(host: try self.host(host, in: text), port: port)
    }

    private static func port(_ digits: Substring, in text: String) throws(Complaint) -> UInt16 {
        guard digits.utf8.count <= 5, isDigits(digits), let port = UInt16(digits) else {
            throw Complaint("\(quoted(text)) does not end with a port", "a port is a number from 0 to 65535")
        }
        return port
    }

    private static func host(_ host: Substring, in text: String) throws(Complaint) -> String {
        guard !host.isEmpty, host != "*" else {
            throw Complaint("\(quoted(text)) has no host", withHost(text[host.endIndex...].dropFirst()))
        }
        if host.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }) {
            var address = in_addr()
            guard inet_pton(AF_INET, String(host), &address) == 1 else {
                throw Complaint("\(quoted(String(host))) is not an IPv4 address", "write four numbers from 0 to 255")
            }
            return String(host)
        }
        guard isHostName(host) else {
            throw Complaint(
                "\(quoted(String(host))) is not a host name", "host names are letters, digits, dots and hyphens")
        }
        return host.lowercased()
    }

    /// Labels of 1 to 63 letters, digits, hyphens and underscores, 253 characters in all (RFC 1123 §2.1).
    private static func isHostName(_ host: Substring) -> Bool {
        let name = host.last == "." ? host.dropLast() : host
        guard (1...253).contains(name.utf8.count) else { return false }
        return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x5F }
        }
    }

    private static func isDigits(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// What to write in place of a port alone.
    static func withHost(_ port: some StringProtocol) -> String {
        "write 127.0.0.1:\(port) for this host alone; to listen on every address, 0.0.0.0:\(port) for IPv4 and "
            + "\"[::]:\(port)\" for IPv6"
    }

    /// fe80::/10 (RFC 4291 §2.5.6), of an address in canonical form.
    private static func isLinkLocal(_ canonical: String) -> Bool {
        ["fe8", "fe9", "fea", "feb"].contains(String(canonical.prefix(3)))
            && canonical.prefix { $0 != ":" }.utf8.count == 4
    }

    private static func canonicalIPv6(_ text: Substring) -> String? {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        var address = in6_addr()
        guard let literal = parts.first, inet_pton(AF_INET6, String(literal), &address) == 1 else { return nil }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count)) != nil else { return nil }
        let canonical = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard parts.count == 2 else { return canonical }
        let zone = parts[1]
        let isZone =
            (1...15).contains(zone.utf8.count)
            && zone.utf8.allSatisfy { isLetterOrDigit($0) || "._-".utf8.contains($0) }
        return isZone ? "\(canonical)%\(zone)" : nil
    }
}

/// A complaint about a path, within `text`, that only a shell would complete: `~/…`, `$HOME/…`, `${NAME}`.
func shellsWork(_ path: String, in text: String, such example: String) -> Complaint? {
    let what =
        if path == "~" || path.hasPrefix("~/") || path.hasPrefix("~") && path.contains("/") {
            "~"
        } else if path.hasPrefix("$") || path.contains("${") {
            "a variable"
        } else {
            ""
        }
    guard !what.isEmpty else { return nil }
    return Complaint(
        "\(quoted(text)) has \(what) in it, which only a shell replaces", "write the whole path, such as \(example)")
}

/// The path itself if it is absolute, otherwise below `directory`.
func absolutePath(_ path: String, in directory: String) -> String {
    if path.hasPrefix("/") { return path }
    return directory.hasSuffix("/") ? directory + path : "\(directory)/\(path)"
}

/// ASCII letters and digits.
func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
}

extension String {
    /// What follows the prefix; nil if the text does not begin with it.
    func dropping(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
