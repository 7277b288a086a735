// A frame's key without its frame, for the ladder (Tests/Ladder): what one DRBG instance costs by itself. The daemons
// do not use it.

/// One direction's prepared inputs and the working memory of a derivation.
package struct DerivationAlone: ~Copyable {
    private let memory = Secret(count: FrameDerivation.scratchSize)
    private let derivation: FrameDerivation
    private let inputs: FrameInputs

    /// `entropy` 32 bytes, `personalization` 32 bytes, `prefix` 14 bytes, as an `EncoderSource` takes them.
    package init(entropy: borrowing Secret, personalization: [UInt8], prefix: [UInt8]) {
        inputs = FrameInputs(entropy: entropy, personalization: personalization, prefix: prefix)
        derivation = FrameDerivation(scratch: memory.address)
    }

    /// Instantiates the DRBG of frame `counter`, asks it for the frame's 44 bytes and wipes it.
    package func deriveAndWipe(counter: UInt64) {
        derivation.derive(from: inputs.address, counter: counter)
        derivation.wipe()
    }
}
