// Both directions of a carrier, as one endpoint sees them.

/// What a carrier holds once its handshake is done: 256 bytes of locked memory.
package struct CarrierKeys: ~Copyable, Sendable {
    package var sending: EncoderSource
    package var receiving: DecoderSource

    package init(sending: consuming EncoderSource, receiving: consuming DecoderSource) {
        self.sending = sending
        self.receiving = receiving
    }

    /// Keys that open nothing, for where a carrier's were taken out.
    package static func blank() -> CarrierKeys {
        let personalization = [UInt8](repeating: 0, count: 32)
        let prefix = [UInt8](repeating: 0, count: 14)
        return CarrierKeys(
            sending: EncoderSource(entropy: Secret(count: 32), personalization: personalization, prefix: prefix),
            receiving: DecoderSource(entropy: Secret(count: 32), personalization: personalization, prefix: prefix))
    }
}
