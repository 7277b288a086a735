// RESUME: the client asks for a further carrier of a conversation both ends still hold.
//
//      0          4                    20      24        40     72          88       104
//      +----------+--------------------+-------+---------+------+-----------+--------+
//      | preamble | conversation id 16 | epoch | salt 16 | e 32 | commit 16 | mac1   |
//      +----------+--------------------+-------+---------+------+-----------+--------+

/// Field views of a RESUME message.
package struct ResumeMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 104

    /// The whole message, ``size`` bytes.
    package let bytes: [UInt8]

    /// Reads a message that fills `bytes` exactly.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        try HandshakeMessage.check(bytes, is: .resume)
        self.bytes = bytes
    }

    /// Puts a message together. `commit` is given bytes 0..<72 and returns 16; `mac1` is given the bytes in front of
    /// it and returns 16.
    package init(
        conversationID: [UInt8], epoch: UInt32, salt: [UInt8], ephemeral: [UInt8],
        commit: ([UInt8]) -> [UInt8], mac1: ([UInt8]) -> [UInt8]
    ) {
        var bytes = HandshakeMessage.preamble(of: .resume) + conversationID
        bytes.append(bigEndian: epoch)
        bytes += salt + ephemeral
        bytes += commit(bytes)
        bytes += mac1(bytes)
        precondition(bytes.count == Self.size)
        self.bytes = bytes
    }

    /// Which conversation, 16 bytes.
    package var conversationID: [UInt8] { [UInt8](bytes[4..<20]) }
    /// The number of ratchet steps between the pairing and the root that ``commit`` was made with.
    package var epoch: UInt32 { bytes.bigEndian(at: 20) }
    /// 16 random bytes of the client.
    package var salt: [UInt8] { [UInt8](bytes[24..<40]) }
    /// The client's ephemeral X25519 public key, 32 bytes.
    package var ephemeral: [UInt8] { [UInt8](bytes[40..<72]) }
    /// All bytes that ``commit`` covers.
    package var coveredByCommit: [UInt8] { [UInt8](bytes[..<72]) }
    /// Proves that the sender holds the root of this epoch, 16 bytes.
    package var commit: [UInt8] { [UInt8](bytes[72..<88]) }
    /// All bytes that ``mac1`` covers.
    package var coveredByMac1: [UInt8] { [UInt8](bytes[..<88]) }
    /// Proves that the sender knows the server's public key, 16 bytes.
    package var mac1: [UInt8] { [UInt8](bytes[88...]) }
}
