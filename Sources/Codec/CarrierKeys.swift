// Both directions of a carrier, as one endpoint sees them.

/// What a carrier holds once its handshake is done: 256 bytes of locked memory.
package struct CarrierKeys: ~Copyable, Sendable {
    package var sending: EncoderSource
    package var receiving: DecoderSource

    package init(sending: consuming EncoderSource, receiving: consuming DecoderSource) {
        self.sending = sending
        self.receiving = receiving
    }
}
