// What a pairing yields.

package import Codec

/// The conversation and the keys of its first carrier, turned the right way round for this end. Neither end stores the
/// conversation before the other has proved, by CONFIRM or CONFIRMED, that it has the same keys.
///
/// Frozen, so that other modules can take the parts out and so consume it.
@frozen package struct Paired: ~Copyable, Sendable {
    package var conversation: Conversation
    package var keys: CarrierKeys

    /// The handshake has ended: derives everything the conversation starts with. The chaining key ends here.
    init(
        _ handshake: consuming HandshakeResult, id: ConversationID, nonce: UInt64, device: PublicKey, server: PublicKey,
        lifetimes: Lifetimes, at now: Moment, for end: Endpoint
    ) throws(CodecError) {
        let context = CarrierContext(
            phase: .pairing, transcript: handshake.hash,
            prefix: KeySchedule.prefix(handshakeHash: handshake.hash, nonce: nonce),
            device: device, server: server, epoch: 0)
        let entropy = try KeySchedule.entropy(handshake)
        let root = try KeySchedule.root(handshake)
        keys = context.keys(entropy, for: end)
        conversation = Conversation(
            id: id, device: device, server: server, root: root, lifetimes: lifetimes, at: now)
    }
}
