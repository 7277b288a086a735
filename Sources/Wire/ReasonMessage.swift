// The plaintext of REFUSED and ABORT frames: one byte, the reason.

/// Why there is no stream (REFUSED) or no longer one (ABORT).
package enum CloseReason: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// The service is not configured, or this device may not use it. The peer learns no more than that.
    case serviceNotAllowed = 1
    /// The target refused the connection.
    case targetRefused = 2
    /// The target did not answer in time.
    case targetTimedOut = 3
    /// Any other error of connecting to the target.
    case targetUnreachable = 4
    /// The application reset its connection.
    case applicationReset = 5
    /// The target reset its connection.
    case targetReset = 6
    /// The peer is shutting down and takes no new streams.
    case draining = 7
    /// Memory, descriptors or another bound is used up.
    case resourceExhausted = 8
    /// The device may no longer use this service.
    case authorisationWithdrawn = 9
    /// A defect of the sender.
    case internalError = 10
    /// The client has withdrawn the stream on another carrier before its OPEN came.
    case withdrawn = 11

    /// In words, for logs of the end that receives it.
    package var description: String {
        switch self {
        case .serviceNotAllowed: "the service is not configured there, or this device may not use it"
        case .targetRefused: "the target refused the connection"
        case .targetTimedOut: "the target did not answer in time"
        case .targetUnreachable: "the target cannot be reached"
        case .applicationReset: "the application reset its connection"
        case .targetReset: "the target reset its connection"
        case .draining: "it is shutting down, or the conversation is over"
        case .resourceExhausted: "resources exhausted: descriptors, memory, ports or another limit"
        case .authorisationWithdrawn: "this device may no longer use the service"
        case .internalError: "a defect of the program there"
        case .withdrawn: "the stream was withdrawn before it began"
        }
    }
}

/// The content of a REFUSED or ABORT frame.
package struct ReasonMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 1

    package let reason: CloseReason

    package init(reason: CloseReason) { self.reason = reason }

    /// Reads exactly 1 byte.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        guard let reason = CloseReason(rawValue: bytes[0]) else { throw .unknownReason(bytes[0]) }
        self.reason = reason
    }

    /// Bytes ``write(to:)`` writes, always 1.
    package var encodedCount: Int { Self.size }

    /// Writes 1 byte.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(reason.rawValue, at: 0)
    }
}
