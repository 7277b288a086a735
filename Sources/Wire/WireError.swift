// Why bytes from a peer were not a message. Values only; nothing here does I/O.

/// Bytes received from the peer that are not a message of this protocol version. Always the peer's fault (or that of
/// somebody who changed the bytes on the way): the carrier they arrived on is closed.
package enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A frame type no version 1 endpoint sends.
    case unknownFrameType(UInt8)
    /// The flags byte of a frame header is not zero.
    case flagsNotZero(UInt8)
    /// A reserved field, or an unused part of a field, is not zero.
    case reservedNotZero
    /// The frame header names a plaintext length this frame type never has.
    case illegalFrameLength(FrameType, UInt32)
    /// A message has a length in bytes that it cannot have.
    case wrongLength(expected: Int, received: Int)
    /// The source address family of an OPEN is none of 0, 4, 6.
    case unknownAddressFamily(UInt8)
    /// The service id of an OPEN is empty, too long or has a character outside `[a-z0-9._-]`.
    case malformedServiceID
    /// An options bit of an OPEN that version 1 does not know.
    case unknownOptions(UInt32)
    /// A close reason outside the table.
    case unknownReason(UInt8)
    /// A REKEY step outside 1...3, or one whose length does not fit it.
    case malformedRekey
    /// A record kind outside the table.
    case unknownRecordKind(UInt8)
    /// A record that its bundle ends within, or whose kind never has this length.
    case illegalRecordLength(RecordKind, Int)
    /// A record whose stream number is 0.
    case recordWithoutStream
    /// A byte that must be 0 or 1 is neither.
    case malformedFlag(UInt8)
    /// A handshake message that does not begin with "OW".
    case notOncewire
    /// A handshake message of another protocol version.
    case unsupportedVersion(UInt8)
    /// A handshake message kind outside the table.
    case unknownHandshakeKind(UInt8)
    /// A handshake message of another kind than the one due here.
    case unexpectedHandshakeKind(HandshakeKind)
    /// The pattern byte of a PAIR payload is not one that version 1 knows.
    case unknownPattern(UInt8)

    /// In words, for logs.
    package var description: String {
        switch self {
        case .unknownFrameType(let type): "a frame of the unknown type \(type)"
        case .flagsNotZero(let flags): "the flags \(flags), which must be 0"
        case .reservedNotZero: "a reserved field that is not 0"
        case .illegalFrameLength(let type, let length): "a \(type) frame of \(length) bytes"
        case .wrongLength(let expected, let received): "a message of \(received) bytes where \(expected) are due"
        case .unknownAddressFamily(let family): "the unknown address family \(family)"
        case .malformedServiceID: "a malformed service name"
        case .unknownOptions(let options): "the unknown options \(options)"
        case .unknownReason(let reason): "the unknown reason \(reason)"
        case .malformedRekey: "a malformed REKEY"
        case .unknownRecordKind(let kind): "a record of the unknown kind \(kind)"
        case .illegalRecordLength(let kind, let length): "a \(kind) record of \(length) bytes"
        case .recordWithoutStream: "a record of stream 0"
        case .malformedFlag(let flag): "the yes-or-no byte \(flag)"
        case .notOncewire: "bytes that are not of this protocol"
        case .unsupportedVersion(let version): "protocol version \(version), which this program does not speak"
        case .unknownHandshakeKind(let kind): "a handshake message of the unknown kind \(kind)"
        case .unexpectedHandshakeKind(let kind): "\(kind) out of place"
        case .unknownPattern(let pattern): "the unknown pattern \(pattern)"
        }
    }
}
