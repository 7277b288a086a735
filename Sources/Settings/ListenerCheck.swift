// Which listeners of one daemon exclude each other. Pure values.

/// Finds listeners that would take each other's connections.
struct ListenerCheck {
    private var taken: [Address: Mark] = [:]
    /// The first listener of each family and port, and the one on all addresses of that family.
    private var first: [Port: Located<Address>] = [:]
    private var wildcard: [Port: Located<Address>] = [:]

    private struct Port: Hashable {
        let isIPv6: Bool
        let number: UInt16
    }

    /// Reports a listener that collides with one before it.
    mutating func add(_ listener: Located<Address>, findings: Findings) {
        if case .tcp(_, port: 0) = listener.value { return }  // the kernel chooses, and never the same twice
        if let other = taken.updateValue(listener.mark, forKey: listener.value) {
            taken[listener.value] = other
            findings.report(
                listener.mark, "\(listener.value) is listened on twice, first at \(other.line):\(other.column)",
                "give every listener an address of its own")
            return
        }
        guard case .tcp(let host, let number) = listener.value else { return }
        let isIPv6 = host.contains(":")
        let isIPv4 = host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        guard isIPv6 || isIPv4 else { return }  // a name, known only to the resolver
        let port = Port(isIPv6: isIPv6, number: number)
        let isWildcard = host == "0.0.0.0" || host == "::"
        if let other = isWildcard ? first[port] : wildcard[port] {
            findings.report(
                listener.mark,
                "\(listener.value) and \(other.value) at \(other.mark.line):\(other.mark.column) take the same port",
                "listen on all addresses or on single ones, not both")
        }
        if first[port] == nil { first[port] = listener }
        if isWildcard { wildcard[port] = listener }
    }
}
