// What the five handshake messages have in common: 4 bytes of preamble and a fixed length.
//
//      0x4F 0x57 ("OW")  version 0x01  kind

/// The last byte of a preamble.
package enum HandshakeKind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// Client to server: begins a pairing.
    case pair = 1
    /// Server to client: answers PAIR.
    case paired = 2
    /// Client to server: asks for a further carrier of a conversation.
    case resume = 3
    /// Server to client: grants RESUME.
    case accept = 4
    /// Server to client: pair again. Says nothing more.
    case reject = 5

    /// Its name in the protocol, such as `PAIR`.
    package var description: String {
        switch self {
        case .pair: "PAIR"
        case .paired: "PAIRED"
        case .resume: "RESUME"
        case .accept: "ACCEPT"
        case .reject: "REJECT"
        }
    }
}

/// Reading a handshake message before its kind is known.
package enum HandshakeMessage {
    /// Bytes of a preamble.
    package static let preambleSize = 4
    /// The protocol version this code speaks.
    package static let version: UInt8 = 1

    /// The kind of the message that begins with the first 4 of `bytes`.
    package static func kind(ofPreamble bytes: some RandomAccessCollection<UInt8>) throws(WireError) -> HandshakeKind {
        guard bytes.count >= preambleSize else { throw .wrongLength(expected: preambleSize, received: bytes.count) }
        let start = bytes.startIndex
        let byte = { bytes[bytes.index(start, offsetBy: $0)] }
        guard byte(0) == 0x4F, byte(1) == 0x57 else { throw .notOncewire }
        guard byte(2) == version else { throw .unsupportedVersion(byte(2)) }
        guard let kind = HandshakeKind(rawValue: byte(3)) else { throw .unknownHandshakeKind(byte(3)) }
        return kind
    }

    /// The 4 bytes a message of `kind` begins with.
    package static func preamble(of kind: HandshakeKind) -> [UInt8] {
        [0x4F, 0x57, version, kind.rawValue]
    }

    /// Bytes of a whole message of `kind`, the preamble included.
    package static func size(of kind: HandshakeKind) -> Int {
        switch kind {
        case .pair: PairMessage.size
        case .paired: PairedMessage.size
        case .resume: ResumeMessage.size
        case .accept: AcceptMessage.size
        case .reject: preambleSize
        }
    }

    /// REJECT: the same 4 bytes for every reason.
    package static let reject = preamble(of: .reject)

    /// Throws unless `bytes` has the preamble and the length of a message of `kind`.
    static func check(_ bytes: [UInt8], is kind: HandshakeKind) throws(WireError) {
        let received = try self.kind(ofPreamble: bytes)
        guard received == kind else { throw .unexpectedHandshakeKind(received) }
        guard bytes.count == size(of: kind) else {
            throw .wrongLength(expected: size(of: kind), received: bytes.count)
        }
    }
}
