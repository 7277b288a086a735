// The 16 bytes in front of every frame: in clear, and authenticated as the associated data of its body.
//
//      0        1        2                 4                                  8                                 16
//      +--------+--------+-----------------+----------------------------------+----------------------------------+
//      | type   | flags 0| reserved 0      | length of the plaintext          | nonce                            |
//      +--------+--------+-----------------+----------------------------------+----------------------------------+
//      then `length` bytes of ciphertext, then the 16-byte tag. All integers big endian.

/// A frame header that is legal by itself: known type, a length this type can have, reserved bits zero.
package struct FrameHeader: Equatable, Sendable {
    /// Bytes of a header.
    @inlinable package static var size: Int { 16 }
    /// Bytes of the tag after the ciphertext.
    @inlinable package static var tagSize: Int { 16 }
    /// The most plaintext bytes in one frame.
    @inlinable package static var maxPlaintext: Int { 65536 }
    /// The most bytes of one whole frame: header, ciphertext, tag.
    @inlinable package static var maxFrame: Int { size + maxPlaintext + tagSize }

    /// What the plaintext means.
    package let type: FrameType
    /// Bytes of plaintext, the same as of ciphertext.
    package let length: Int
    /// The number of this frame on its carrier and in its direction, from 0.
    package let nonce: UInt64

    /// The header of a frame to send. `length` must be legal for `type`: anything else is a defect of the caller.
    package init(type: FrameType, length: Int, nonce: UInt64) {
        precondition(type.allows(length: length), "no frame of this type has this length")
        self.type = type
        self.length = length
        self.nonce = nonce
    }

    /// Reads the 16 bytes at `bytes`. Throws if the type is unknown, if the length is not legal for that type, or if
    /// flags or reserved bits are set. So no frame is buffered that could never be accepted.
    package init(parsing bytes: UnsafeRawPointer) throws(WireError) {
        let bytes = UnsafeRawBufferPointer(start: bytes, count: Self.size)
        guard let type = FrameType(rawValue: bytes[0]) else { throw .unknownFrameType(bytes[0]) }
        guard bytes[1] == 0 else { throw .flagsNotZero(bytes[1]) }
        guard bytes.bigEndian(at: 2, as: UInt16.self) == 0 else { throw .reservedNotZero }
        let length: UInt32 = bytes.bigEndian(at: 4)
        guard type.allows(length: Int(length)) else { throw .illegalFrameLength(type, length) }
        self.type = type
        self.length = Int(length)
        nonce = bytes.bigEndian(at: 8)
    }

    /// Writes 16 bytes at `destination`.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(type.rawValue, at: 0)
        destination.storeBigEndian(0 as UInt8, at: 1)
        destination.storeBigEndian(0 as UInt16, at: 2)
        destination.storeBigEndian(UInt32(length), at: 4)
        destination.storeBigEndian(nonce, at: 8)
    }

    /// Bytes of the whole frame: header, ciphertext, tag.
    package var frameSize: Int { Self.size + length + Self.tagSize }
}
