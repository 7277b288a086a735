// Which addresses worked when there was a choice: the next dialling begins with the one that worked last, so that a
// dead one before it costs its delay once and not every time.

internal import Pairing

/// The addresses that were connected to, for all loops of the process. Touched only where a name has several.
enum AddressMemory {
    private static let worked = Guarded<[SocketAddress: Nanoseconds]>([:])
    /// After so long the resolver's order counts again: what was dead may have come back.
    static let lasts: Nanoseconds = 600_000_000_000
    /// Far more than a configuration has names.
    private static let most = 4096

    /// `address` was connected to.
    static func worked(_ address: SocketAddress, at now: Nanoseconds) {
        worked.withLock { worked in
            if worked.count >= most { worked = worked.filter { isRemembered($0.value, at: now) } }
            if worked.count < most || worked[address] != nil { worked[address] = now }
        }
    }

    /// `addresses`, which are in the resolver's order, as they are to be tried: families in turn, beginning with the
    /// first one's (RFC 8305 §4), but before all others the one that worked last.
    static func order(_ addresses: [SocketAddress], at now: Nanoseconds) -> [SocketAddress] {
        var ordered = interleaved(addresses)
        let latest = worked.withLock { worked in
            ordered.indices.compactMap { index in worked[ordered[index]].map { (at: $0, index: index) } }
                .filter { isRemembered($0.at, at: now) }.max { $0.at < $1.at }
        }
        if let latest { ordered.insert(ordered.remove(at: latest.index), at: 0) }
        return ordered
    }

    private static func isRemembered(_ since: Nanoseconds, at now: Nanoseconds) -> Bool {
        now &- min(since, now) < lasts
    }

    private static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let first = addresses.first else { return [] }
        let same = addresses.filter { $0.family == first.family }
        let other = addresses.filter { $0.family != first.family }
        var mixed: [SocketAddress] = []
        for index in 0..<max(same.count, other.count) {
            if index < same.count { mixed.append(same[index]) }
            if index < other.count { mixed.append(other[index]) }
        }
        return mixed
    }
}
