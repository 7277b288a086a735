// Splits one direction of a carrier into its handshake messages and frames, by what anybody on the wire
// can see: the preamble of a handshake message, the clear header of a frame. Knows no key.

/// The way bytes travel on a carrier.
enum CarrierDirection: Sendable, Hashable, CaseIterable {
    case toServer, toClient

    var opposite: CarrierDirection { self == .toServer ? .toClient : .toServer }
}

/// One whole handshake message or frame, or bytes that are neither.
struct CarrierUnit: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case handshake(UInt8)
        case frame(UInt8)
        case loose
    }

    /// Handshake kinds and frame types by number, as on the wire.
    static let pair = Kind.handshake(1)
    static let paired = Kind.handshake(2)
    static let resume = Kind.handshake(3)
    static let accept = Kind.handshake(4)
    static let reject = Kind.handshake(5)
    static let open = Kind.frame(1)
    static let data = Kind.frame(2)
    static let fin = Kind.frame(3)
    static let closed = Kind.frame(4)
    static let ping = Kind.frame(7)
    static let pong = Kind.frame(8)
    static let rekey = Kind.frame(9)
    static let confirm = Kind.frame(11)
    static let confirmed = Kind.frame(12)
    static let bundle = Kind.frame(13)

    let kind: Kind
    let bytes: [UInt8]

    /// A frame that belongs to a stream: not a confirmation, heartbeat, REKEY or BYE, which come when they come.
    var isOfStream: Bool {
        if case .frame(let type) = kind { (1...6).contains(type) || (13...16).contains(type) } else { false }
    }
}

/// Collects bytes until a whole unit is there.
struct CarrierSplitter: Sendable {
    static let handshakeSizes: [UInt8: Int] = [1: 1324, 2: 1196, 3: 104, 4: 68, 5: 4]
    static let headerSize = 16
    static let tagSize = 16
    static let mostPlaintext = 65536

    /// Bytes of a unit that is not whole yet.
    private(set) var rest: [UInt8] = []

    mutating func take(_ bytes: some Sequence<UInt8>) -> [CarrierUnit] {
        rest.append(contentsOf: bytes)
        var units: [CarrierUnit] = []
        while let unit = next() { units.append(unit) }
        return units
    }

    private mutating func next() -> CarrierUnit? {
        guard rest.count >= 4 else { return nil }
        if rest.starts(with: [0x4F, 0x57, 0x01]) {
            guard let size = Self.handshakeSizes[rest[3]] else { return cut(rest.count, .loose) }
            return rest.count >= size ? cut(size, .handshake(rest[3])) : nil
        }
        guard (1...17).contains(rest[0]), rest[1...3].allSatisfy({ $0 == 0 }) else { return cut(rest.count, .loose) }
        guard rest.count >= Self.headerSize else { return nil }
        let length = rest[4..<8].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.mostPlaintext else { return cut(rest.count, .loose) }
        let size = Self.headerSize + length + Self.tagSize
        return rest.count >= size ? cut(size, .frame(rest[0])) : nil
    }

    private mutating func cut(_ size: Int, _ kind: CarrierUnit.Kind) -> CarrierUnit {
        let unit = CarrierUnit(kind: kind, bytes: Array(rest.prefix(size)))
        rest.removeFirst(size)
        return unit
    }
}
