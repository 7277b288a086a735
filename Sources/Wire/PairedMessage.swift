// PAIRED: the server's half of a pairing.
//
//      0          4      36                1140              1196
//      +----------+------+-----------------+-----------------+
//      | preamble | e 32 | ekem1 1088 + 16 | payload 40 + 16 |
//      +----------+------+-----------------+-----------------+
//                 |<------- one Noise message, 1192 -------->|

/// Field views of a PAIRED message. What Noise encrypted stays ciphertext here.
package struct PairedMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 1196
    /// Bytes of the Noise message within it.
    package static let noiseSize = 32 + (1088 + 16) + (PairedPayload.size + 16)

    /// The whole message, ``size`` bytes.
    package let bytes: [UInt8]

    /// Reads a message that fills `bytes` exactly.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        try HandshakeMessage.check(bytes, is: .paired)
        self.bytes = bytes
    }

    /// Puts a message together.
    package init(noise: [UInt8]) {
        precondition(noise.count == Self.noiseSize)
        bytes = HandshakeMessage.preamble(of: .paired) + noise
    }

    /// The 4 bytes of preamble.
    package var preamble: [UInt8] { [UInt8](bytes[..<HandshakeMessage.preambleSize]) }
    /// The Noise message, ``noiseSize`` bytes.
    package var noise: [UInt8] { [UInt8](bytes[HandshakeMessage.preambleSize...]) }
}

/// The encrypted payload of PAIRED: conversation id 16, nonce u64, epoch, idle, lifetime u32 each in seconds,
/// reserved u32 = 0.
package struct PairedPayload: Equatable, Sendable {
    /// Bytes of the payload.
    package static let size = 40

    /// 16 bytes that name the conversation in RESUME.
    package let conversationID: [UInt8]
    /// The server's random number, part of the frame nonces of the pairing carrier.
    package let nonce: UInt64
    /// Seconds between two ratchet steps.
    package let epochSeconds: UInt32
    /// Seconds without use after which the conversation ends.
    package let idleSeconds: UInt32
    /// Seconds after which the conversation ends, however much it is used.
    package let lifetimeSeconds: UInt32

    package init(
        conversationID: [UInt8], nonce: UInt64, epochSeconds: UInt32, idleSeconds: UInt32, lifetimeSeconds: UInt32
    ) {
        precondition(conversationID.count == 16)
        self.conversationID = conversationID
        self.nonce = nonce
        self.epochSeconds = epochSeconds
        self.idleSeconds = idleSeconds
        self.lifetimeSeconds = lifetimeSeconds
    }

    /// Reads exactly 40 bytes.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        guard bytes.bigEndian(at: 36, as: UInt32.self) == 0 else { throw .reservedNotZero }
        conversationID = [UInt8](bytes[..<16])
        nonce = bytes.bigEndian(at: 16)
        epochSeconds = bytes.bigEndian(at: 24)
        idleSeconds = bytes.bigEndian(at: 28)
        lifetimeSeconds = bytes.bigEndian(at: 32)
    }

    /// The 40 bytes.
    package var bytes: [UInt8] {
        var bytes = conversationID
        bytes.append(bigEndian: nonce)
        bytes.append(bigEndian: epochSeconds)
        bytes.append(bigEndian: idleSeconds)
        bytes.append(bigEndian: lifetimeSeconds)
        bytes.append(bigEndian: 0 as UInt32)
        return bytes
    }
}
