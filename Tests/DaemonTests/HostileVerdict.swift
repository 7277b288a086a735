// What the tap does to one unit that passes, and where on a carrier it does it.

/// What happens to one unit.
struct Verdict: Sendable {
    enum Ending: Sendable, Hashable {
        /// The receiver gets a FIN after the bytes; what the sender still says is thrown away.
        case fin
        /// Both ends get a RST.
        case reset
    }

    /// Bytes that go on to the receiver.
    var forward: [UInt8]
    /// Bytes that go back to the sender.
    var back: [UInt8] = []
    /// Bytes that follow the next unit of this direction.
    var afterNext: [UInt8] = []
    /// How the carrier ends when `forward` is out; nil when it lives on.
    var ending: Ending?
    /// How long `forward` and everything behind it waits, in milliseconds.
    var delay = 0

    static func pass(_ unit: CarrierUnit) -> Verdict { Verdict(forward: unit.bytes) }
}

/// A manipulation of one unit. Offsets are counted from the unit's first byte.
enum Manipulation: Sendable, Hashable {
    case none
    case flip(offset: Int, mask: UInt8)
    case truncate(keeping: Int, Verdict.Ending)
    case insert([UInt8], offset: Int)
    case drop
    case duplicate
    case swapWithNext
    case delay(milliseconds: Int)
    /// The sender gets its own unit back; the receiver gets it too, or only the sender does.
    case reflect(alsoForward: Bool)
    /// Sends these bytes (from elsewhere) in front of the unit.
    case precede([UInt8])
    /// Sends these bytes (from elsewhere) in place of the unit.
    case replace([UInt8])

    func verdict(on unit: CarrierUnit) -> Verdict {
        switch self {
        case .none:
            return .pass(unit)
        case .flip(let offset, let mask):
            var bytes = unit.bytes
            bytes[offset % bytes.count] ^= mask
            return Verdict(forward: bytes)
        case .truncate(let count, let ending):
            return Verdict(forward: Array(unit.bytes.prefix(count)), ending: ending)
        case .insert(let bytes, let offset):
            return Verdict(forward: Array(unit.bytes.prefix(offset)) + bytes + unit.bytes.dropFirst(offset))
        case .drop:
            return Verdict(forward: [])
        case .duplicate:
            return Verdict(forward: unit.bytes + unit.bytes)
        case .swapWithNext:
            return Verdict(forward: [], afterNext: unit.bytes)
        case .delay(let milliseconds):
            return Verdict(forward: unit.bytes, delay: milliseconds)
        case .reflect(let alsoForward):
            return Verdict(forward: alsoForward ? unit.bytes : [], back: unit.bytes)
        case .precede(let bytes):
            return Verdict(forward: bytes + unit.bytes)
        case .replace(let bytes):
            return Verdict(forward: bytes)
        }
    }
}

/// Where a unit is: which carrier, which way, and how far into the carrier and its current stream.
struct UnitPlace: Sendable, Hashable {
    /// The listening port of the tap the carrier came in on, counted from 0.
    let lane: Int
    /// Carriers of the whole tap, counted from 0 in the order of accept.
    let carrier: Int
    let direction: CarrierDirection
    /// Units of this direction on this carrier before this one.
    let index: Int
    /// Streams opened on this carrier so far, this unit included: 0 before the first OPEN.
    let stream: Int
    /// Frames of a stream in this direction since its OPEN: 0 for OPEN itself and for the first of the answer.
    /// Nil for units that are of no stream.
    let indexInStream: Int?
}
