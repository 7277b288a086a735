// The plaintext of a FIN frame: one u64.

/// Half-close: the sender has sent every byte it will send on this stream.
package struct FinMessage: Equatable, Sendable {
    /// Bytes of the message.
    package static let size = 8

    /// The sum of the plaintext lengths of all DATA frames of this stream and direction. The receiver passes an
    /// orderly end on only if it counted the same.
    package let total: UInt64

    package init(total: UInt64) { self.total = total }

    /// Reads exactly 8 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard bytes.count == Self.size else { throw .wrongLength(expected: Self.size, received: bytes.count) }
        total = bytes.bigEndian(at: 0)
    }

    /// Bytes ``write(to:)`` writes, always 8.
    package var encodedCount: Int { Self.size }

    /// Writes 8 bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(total, at: 0)
    }
}
