// The sending half of one direction: a source that counts, and the encoder that it makes for one frame.

/// Entropy, personalization and nonce prefix of the direction this endpoint sends in. Every nonce leaves it
/// once, because making an encoder is what moves the counter on, and an encoder can be used only once.
package struct EncoderSource: ~Copyable, Sendable {
    /// Read elsewhere by tests alone.
    private(set) var inputs: FrameInputs
    /// The nonce of the next frame.
    package private(set) var next: UInt64

    /// `entropy` 32 bytes, `personalization` 32 bytes, `prefix` 14 bytes: fixed, because the DRBG joins
    /// them without separators.
    package init(entropy: consuming Secret, personalization: [UInt8], prefix: [UInt8]) {
        self.init(entropy: entropy, personalization: personalization, prefix: prefix, next: 0)
    }

    /// A source that is already at `next`.
    init(entropy: consuming Secret, personalization: [UInt8], prefix: [UInt8], next: UInt64) {
        inputs = FrameInputs(entropy: entropy, personalization: personalization, prefix: prefix)
        self.next = next
    }

    /// The encoder of the next frame; its nonce is spent whether it is used or not. It is to be used before
    /// the source is mixed or ends. `nonceExhausted` once only 2^64 - 1 is left, which is never used.
    package mutating func makeEncoder() throws(CodecError) -> Encoder {
        guard next < .max else { throw .nonceExhausted }
        let nonce = next
        next += 1
        return Encoder(nonce: nonce, inputs: inputs)
    }

    /// REKEY: mixes a shared X25519 secret into the entropy, HKDF(salt empty, ikm entropy || shared, info
    /// "oncewire/1 rekey", 32). Counter, prefix and personalization go on; the old entropy and everything
    /// prepared from it are wiped.
    package mutating func mix(_ shared: borrowing Secret) {
        inputs = FrameInputs(mixing: shared, into: inputs)
    }
}

/// Encodes one frame.
package struct Encoder: ~Copyable {
    /// The frame's number, for its header.
    package let nonce: UInt64
    private let inputs: BorrowedInputs

    fileprivate init(nonce: UInt64, inputs: borrowing FrameInputs) {
        self.nonce = nonce
        self.inputs = BorrowedInputs(inputs)
    }

    /// Encodes the frame at `frame` in place. It has 16 header bytes, in which `nonce` already stands, `count`
    /// plaintext bytes (at most 65 536), and room for the tag's 16.
    package consuming func encode(frame: UnsafeMutableRawPointer, count: Int, with cipher: FrameCipher) {
        precondition(count >= 0 && count <= Frame.longestPlaintext, "a frame's plaintext has at most 65536 bytes")
        assert(
            UInt64(bigEndian: frame.loadUnaligned(fromByteOffset: Frame.nonce, as: UInt64.self)) == nonce,
            "the header has another nonce than the encoder")
        cipher.seal(frame: frame, count: count, inputs: inputs.checked(), counter: nonce)
    }
}
