// The receiving half of one direction: a source that demands the next nonce, and the decoder of one frame.

/// Entropy, personalization and nonce prefix of the direction this endpoint receives in.
package struct DecoderSource: ~Copyable, Sendable {
    /// Read elsewhere by tests alone.
    private(set) var inputs: FrameInputs
    /// The only nonce that the next frame may have.
    package private(set) var next: UInt64

    /// `entropy` 32 bytes, `personalization` 32 bytes, `prefix` 14 bytes.
    package init(entropy: consuming Secret, personalization: [UInt8], prefix: [UInt8]) {
        self.init(entropy: entropy, personalization: personalization, prefix: prefix, next: 0)
    }

    /// A source that is already at `next`.
    init(entropy: consuming Secret, personalization: [UInt8], prefix: [UInt8], next: UInt64) {
        inputs = FrameInputs(entropy: entropy, personalization: personalization, prefix: prefix)
        self.next = next
    }

    /// The decoder of the frame whose header has `nonce`. `wrongNonce` unless that is exactly `next`, and then
    /// nothing changes. Otherwise the nonce is spent, also if the frame turns out to be forged. So a carrier does
    /// not go on after a frame that was refused. It is to be used before the source is mixed or ends.
    package mutating func makeDecoder(nonce: UInt64) throws(CodecError) -> Decoder {
        guard next < .max else { throw .nonceExhausted }
        guard nonce == next else { throw .wrongNonce(expected: next, received: nonce) }
        next += 1
        return Decoder(nonce: nonce, inputs: inputs)
    }

    /// REKEY, as `EncoderSource.mix`.
    package mutating func mix(_ shared: borrowing Secret) {
        inputs = FrameInputs(mixing: shared, into: inputs)
    }
}

/// Decodes one frame.
package struct Decoder: ~Copyable {
    private let nonce: UInt64
    private let inputs: BorrowedInputs

    fileprivate init(nonce: UInt64, inputs: borrowing FrameInputs) {
        self.nonce = nonce
        self.inputs = BorrowedInputs(inputs)
    }

    /// Decodes the frame at `frame` in place: 16 header bytes, `count` bytes of ciphertext, 16 of tag. On
    /// `notAuthentic` those `count` bytes are zero: no plaintext is left that was not verified.
    /// `lengthOutOfRange` if `count` is more than a frame can have; then nothing was touched.
    package consuming func decode(
        frame: UnsafeMutableRawPointer, count: Int, with cipher: FrameCipher
    ) throws(CodecError) {
        guard count >= 0, count <= Frame.longestPlaintext else { throw .lengthOutOfRange }
        guard cipher.open(frame: frame, count: count, inputs: inputs.checked(), counter: nonce) else {
            throw .notAuthentic
        }
    }
}
