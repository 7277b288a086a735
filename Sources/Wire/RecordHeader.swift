// What a BUNDLE frame is made of: records, one after the other, each of one stream of a shared carrier.
//
//      0        1        2                 4                                                  12
//      +--------+--------+-----------------+--------------------------------------------------+------------------+
//      | kind   | 0      | length          | stream number                                    | payload, length  |
//      +--------+--------+-----------------+--------------------------------------------------+------------------+
//
// All of it is plaintext of the frame. All integers big endian.

/// What a record is.
package enum RecordKind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// Client to server: begins a stream (``OpenMessage``, whose stream number is the record's).
    case open = 1
    /// Application bytes of the stream, 1...16384.
    case data = 2
    /// No more DATA in this direction (``FinMessage``).
    case fin = 3
    /// Server to client: there will be no stream (``ReasonMessage``).
    case refused = 5
    /// The stream ends in both directions, not in order (``ReasonMessage``).
    case abort = 6
    /// The receiver has passed so many bytes on: the sender may send a window's worth beyond them
    /// (``CreditMessage``).
    case credit = 7
    /// Server to client: much more is to come, and the stream should move to a carrier of its own. Empty.
    case heavy = 8

    /// Whether a payload of `length` bytes is legal in a record of this kind.
    package func allows(length: Int) -> Bool {
        switch self {
        case .open: OpenMessage.legalSizes.contains(length)
        case .data: 1...RecordHeader.maxData ~= length
        case .fin: length == FinMessage.size
        case .refused, .abort: length == ReasonMessage.size
        case .credit: length == CreditMessage.size
        case .heavy: length == 0
        }
    }

    /// Its name in the protocol, such as `DATA`.
    package var description: String {
        switch self {
        case .open: "OPEN"
        case .data: "DATA"
        case .fin: "FIN"
        case .refused: "REFUSED"
        case .abort: "ABORT"
        case .credit: "CREDIT"
        case .heavy: "HEAVY"
        }
    }
}

/// The 12 bytes in front of every record.
package struct RecordHeader: Equatable, Sendable {
    /// Bytes of a header.
    @inlinable package static var size: Int { 12 }
    /// The most application bytes in one DATA record.
    @inlinable package static var maxData: Int { 16384 }
    /// How many bytes of a stream may be on their way in one direction of a shared carrier. They are sent, and not
    /// yet known to have been passed on. It bounds what a receiver holds for an application that does not read.
    @inlinable package static var window: UInt64 { 65536 }

    /// What the payload means.
    package let kind: RecordKind
    /// Bytes of payload.
    package let length: Int
    /// Whose it is, as in the stream's OPEN, from 1.
    package let stream: UInt64

    /// The header of a record to send. `length` must be legal for `kind`: anything else is a defect of the caller.
    package init(kind: RecordKind, length: Int, stream: UInt64) {
        precondition(kind.allows(length: length), "no record of this kind has this length")
        self.kind = kind
        self.length = length
        self.stream = stream
    }

    /// Reads the record that begins at `offset` of the bundle `bytes`. Throws unless all of it lies within the bundle
    /// and its length is legal for its kind.
    package init(parsing bytes: UnsafeRawBufferPointer, at offset: Int) throws(WireError) {
        let left = bytes.count - offset
        guard left >= Self.size else { throw .wrongLength(expected: Self.size, received: left) }
        guard let kind = RecordKind(rawValue: bytes[offset]) else { throw .unknownRecordKind(bytes[offset]) }
        guard bytes[offset + 1] == 0 else { throw .flagsNotZero(bytes[offset + 1]) }
        let length = Int(bytes.bigEndian(at: offset + 2, as: UInt16.self))
        guard kind.allows(length: length), length <= left - Self.size else {
            throw .illegalRecordLength(kind, length)
        }
        self.kind = kind
        self.length = length
        stream = bytes.bigEndian(at: offset + 4)
        guard stream != 0 else { throw .recordWithoutStream }
    }

    /// Writes 12 bytes at `destination`.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(kind.rawValue, at: 0)
        destination.storeBigEndian(0 as UInt8, at: 1)
        destination.storeBigEndian(UInt16(length), at: 2)
        destination.storeBigEndian(stream, at: 4)
    }
}

/// The payload of a CREDIT record: one u64.
package struct CreditMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 8

    /// Bytes of this stream and direction that were passed on to the application since the stream began.
    package let total: UInt64

    package init(total: UInt64) { self.total = total }

    /// Reads exactly 8 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        total = bytes.bigEndian(at: 0)
    }

    /// Bytes ``write(to:)`` writes, always 8.
    package var encodedCount: Int { Self.size }

    /// Writes 8 bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(total, at: 0)
    }
}
