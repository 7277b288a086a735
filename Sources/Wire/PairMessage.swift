// PAIR: the client's half of a pairing.
//
//      0          4      36              1236                1284              1308     1324
//      +----------+------+---------------+-------------------+-----------------+--------+
//      | preamble | e 32 | e1 1184 + 16  | s 32 + 16         | payload 8 + 16  | mac1   |
//      +----------+------+---------------+-------------------+-----------------+--------+
//                 |<------------- one Noise message, 1304 ------------------->|

/// Field views of a PAIR message. What Noise encrypted stays ciphertext here.
package struct PairMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 1324
    /// Bytes of the Noise message within it.
    package static let noiseSize = 32 + (1184 + 16) + (32 + 16) + (PairPayload.size + 16)

    /// The whole message, ``size`` bytes.
    package let bytes: [UInt8]

    /// Reads a message that fills `bytes` exactly.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        try HandshakeMessage.check(bytes, is: .pair)
        self.bytes = bytes
    }

    /// Puts a message together. `mac1` is given the bytes in front of it and returns 16.
    package init(noise: [UInt8], mac1: ([UInt8]) -> [UInt8]) {
        precondition(noise.count == Self.noiseSize)
        let covered = HandshakeMessage.preamble(of: .pair) + noise
        bytes = covered + mac1(covered)
        precondition(bytes.count == Self.size)
    }

    /// The 4 bytes of preamble.
    package var preamble: [UInt8] { [UInt8](bytes[..<HandshakeMessage.preambleSize]) }
    /// The Noise message, ``noiseSize`` bytes.
    package var noise: [UInt8] { [UInt8](bytes[HandshakeMessage.preambleSize..<Self.size - 16]) }
    /// All bytes that ``mac1`` covers.
    package var coveredByMac1: [UInt8] { [UInt8](bytes[..<(Self.size - 16)]) }
    /// Proves that the sender knows the server's public key, 16 bytes.
    package var mac1: [UInt8] { [UInt8](bytes[(Self.size - 16)...]) }
}

/// The encrypted payload of PAIR: pattern u8, then 7 zero bytes.
package struct PairPayload: Equatable, Sendable {
    /// Bytes of the payload.
    package static let size = 8

    /// How frames are encoded in the conversation.
    package enum Pattern: UInt8, Sendable, CaseIterable {
        /// A fresh encoder for every frame, no encoder state kept.
        case conversationOnceAndDone = 1
    }

    package let pattern: Pattern

    package init(pattern: Pattern) { self.pattern = pattern }

    /// Reads exactly 8 bytes.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        guard let pattern = Pattern(rawValue: bytes[0]) else { throw .unknownPattern(bytes[0]) }
        guard bytes[1...].allSatisfy({ $0 == 0 }) else { throw .reservedNotZero }
        self.pattern = pattern
    }

    /// The 8 bytes.
    package var bytes: [UInt8] { [pattern.rawValue] + [UInt8](repeating: 0, count: Self.size - 1) }
}
