// The plaintexts of MOVE and MOVED: how a stream leaves a shared carrier for one of its own.
//
//      MOVE and MOVED   0               8        16      17
//                       +---------------+--------+-------+
//                       | stream number | total  | ended |
//                       +---------------+--------+-------+

/// How far one direction of a stream has come on the shared carrier: what follows is on its own one.
package struct StreamProgress: Equatable, Sendable {
    /// Bytes of a progress.
    static let size = 9

    /// DATA bytes of this direction that were sent on the shared carrier.
    package let total: UInt64
    /// FIN was sent there too, so that nothing follows.
    package let hasEnded: Bool

    package init(total: UInt64, hasEnded: Bool) {
        self.total = total
        self.hasEnded = hasEnded
    }

    fileprivate init(parsing bytes: UnsafeRawBufferPointer, at offset: Int) throws(WireError) {
        total = bytes.bigEndian(at: offset)
        switch bytes[offset + 8] {
        case 0: hasEnded = false
        case 1: hasEnded = true
        case let other: throw .malformedFlag(other)
        }
    }

    fileprivate func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(total, at: 0)
        destination.storeBigEndian(hasEnded ? 1 : 0 as UInt8, at: 8)
    }
}

/// Asks for a stream of a shared carrier to go on here. The client sends nothing more of it before the answer.
package struct MoveMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 8 + StreamProgress.size

    /// Which stream, as in its OPEN.
    package let stream: UInt64
    /// The direction from the client to the server.
    package let progress: StreamProgress

    package init(stream: UInt64, progress: StreamProgress) {
        self.stream = stream
        self.progress = progress
    }

    /// Reads exactly 17 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        stream = bytes.bigEndian(at: 0)
        progress = try StreamProgress(parsing: bytes, at: 8)
    }

    /// Bytes ``write(to:)`` writes, always 17.
    package var encodedCount: Int { Self.size }

    /// Writes 17 bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(stream, at: 0)
        progress.write(to: destination + 8)
    }
}

/// The answer: the server has everything that MOVE counted, and sends the rest here.
package struct MovedMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 8 + StreamProgress.size

    /// Which stream, as in MOVE. Two carriers may wait for an answer at once, and each must get its own.
    package let stream: UInt64
    /// The direction from the server to the client.
    package let progress: StreamProgress

    package init(stream: UInt64, progress: StreamProgress) {
        self.stream = stream
        self.progress = progress
    }

    /// Reads exactly 17 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        stream = bytes.bigEndian(at: 0)
        progress = try StreamProgress(parsing: bytes, at: 8)
    }

    /// Bytes ``write(to:)`` writes, always 17.
    package var encodedCount: Int { Self.size }

    /// Writes 17 bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(stream, at: 0)
        progress.write(to: destination + 8)
    }
}
