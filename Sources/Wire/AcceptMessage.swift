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

    /// The first 52 bytes: preamble, salt 16, ephemeral X25519 public key 32.
    package static func coveredByCommit(salt: [UInt8], ephemeral: [UInt8]) -> [UInt8] {
        HandshakeMessage.preamble(of: .accept) + salt + ephemeral
    }

    /// Puts a message together from its first 52 bytes and 16 bytes of commit.
    package init(coveredByCommit: [UInt8], commit: [UInt8]) {
        bytes = coveredByCommit + commit
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
