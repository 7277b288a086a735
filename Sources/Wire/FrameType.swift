// The kinds of frame on a carrier, and how long each one's plaintext may be.

/// The first byte of a frame header.
package enum FrameType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// Client to server: begins a stream (``OpenMessage``).
    case open = 1
    /// Application bytes of the stream, 1...65536.
    case data = 2
    /// No more DATA in this direction (``FinMessage``).
    case fin = 3
    /// Server to client: the stream has ended at this end too, the carrier is idle again. Empty.
    case closed = 4
    /// Server to client: there will be no stream (``ReasonMessage``).
    case refused = 5
    /// The stream ends in both directions, not in order (``ReasonMessage``).
    case abort = 6
    /// Asks for a PONG. Empty.
    case ping = 7
    /// Answers a PING. Empty.
    case pong = 8
    /// New key agreement within the carrier (``RekeyMessage``).
    case rekey = 9
    /// Log-off: both ends forget the conversation. Empty.
    case bye = 10
    /// Client to server: the first frame of a pairing carrier, proves that the client has the keys. Empty.
    case confirm = 11
    /// Server to client: the answer to CONFIRM. Empty.
    case confirmed = 12
    /// Records of many streams on a shared carrier (``RecordHeader``). The first one on an idle carrier makes it
    /// a shared one.
    case bundle = 13
    /// Client to server, on an idle carrier: a stream of a shared carrier goes on here (``MoveMessage``).
    case move = 14
    /// Server to client: the stream goes on here, after what came by the shared carrier (``MovedMessage``).
    case moved = 15
    /// Server to client: there is no such stream any more; the carrier is idle again. Empty.
    case stays = 16
    /// Server to client: this carrier takes no further streams. What the client opened before it knew is still served;
    /// the carrier ends when the client closes it. Empty.
    case leaving = 17
    /// Client to server: the streams with these numbers are given up unless they have begun
    /// (``StreamNumbersMessage``, at least one).
    case withdraw = 18
    /// Server to client: those of them that had begun; the others never will (``StreamNumbersMessage``).
    case withdrawn = 19

    /// Whether a plaintext of `length` bytes is legal in a frame of this type.
    package func allows(length: Int) -> Bool {
        switch self {
        case .open: OpenMessage.legalSizes.contains(length)
        case .data: 1...FrameHeader.maxPlaintext ~= length
        case .fin: length == FinMessage.size
        case .refused, .abort: length == ReasonMessage.size
        case .rekey: length == RekeyMessage.stepSize || length == RekeyMessage.keyStepSize
        case .bundle: RecordHeader.size...FrameHeader.maxPlaintext ~= length
        case .move: length == MoveMessage.size
        case .moved: length == MovedMessage.size
        case .withdraw: length > 0 && StreamNumbersMessage.isLegal(length)
        case .withdrawn: StreamNumbersMessage.isLegal(length)
        case .closed, .ping, .pong, .bye, .confirm, .confirmed, .stays, .leaving: length == 0
        }
    }
}

extension FrameType {
    /// Its name in the protocol, such as `DATA`.
    package var description: String {
        switch self {
        case .open: "OPEN"
        case .data: "DATA"
        case .fin: "FIN"
        case .closed: "CLOSED"
        case .refused: "REFUSED"
        case .abort: "ABORT"
        case .ping: "PING"
        case .pong: "PONG"
        case .rekey: "REKEY"
        case .bye: "BYE"
        case .confirm: "CONFIRM"
        case .confirmed: "CONFIRMED"
        case .bundle: "BUNDLE"
        case .move: "MOVE"
        case .moved: "MOVED"
        case .stays: "STAYS"
        case .leaving: "LEAVING"
        case .withdraw: "WITHDRAW"
        case .withdrawn: "WITHDRAWN"
        }
    }
}
