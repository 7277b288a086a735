// ACCEPT: the server grants RESUME.
//
//      0          4         20     52          68
//      +----------+---------+------+-----------+
//      | preamble | salt 16 | e 32 | commit 16 |
//      +----------+---------+------+-----------+

/// Field views of an ACCEPT message.
package struct AcceptMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 68

    /// The whole message, ``size`` bytes.
    package let bytes: [UInt8]

    /// Reads a message that fills `bytes` exactly.
    package init(parsing bytes: [UInt8]) throws(WireError) {
        try HandshakeMessage.check(bytes, is: .accept)
        self.bytes = bytes
    }

    /// Puts a message together. `commit` is given bytes 0..<52 and returns 16, or throws.
    package init<E: Error>(
        salt: [UInt8], ephemeral: [UInt8], commit: ([UInt8]) throws(E) -> [UInt8]
    ) throws(E) {
        let covered = HandshakeMessage.preamble(of: .accept) + salt + ephemeral
        bytes = covered + (try commit(covered))
        precondition(bytes.count == Self.size)
    }

    /// 16 random bytes of the server.
    package var salt: [UInt8] { [UInt8](bytes[4..<20]) }
    /// The server's ephemeral X25519 public key, 32 bytes.
    package var ephemeral: [UInt8] { [UInt8](bytes[20..<52]) }
    /// The part of the message that goes into the transcript and so under ``commit``.
    package var coveredByCommit: [UInt8] { [UInt8](bytes[..<52]) }
    /// Proves that the sender holds the root and the server's identity key, 16 bytes.
    package var commit: [UInt8] { [UInt8](bytes[52...]) }
}
