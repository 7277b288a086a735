// How long what a pairing made may live.

internal import Wire

/// The three bounds of a conversation, decided by the server and told to the client in PAIRED. On the wire each is a
/// u32 of whole seconds, at least 1.
package struct Lifetimes: Sendable, Equatable {
    /// Time between two steps of the ratchet.
    package let epoch: Duration
    /// Time without any use after which the conversation ends.
    package let idle: Duration
    /// Time after which the conversation ends even if it is used.
    package let lifetime: Duration

    /// Fractions of a second are rounded up; what does not fit into 1...UInt32.max seconds is brought into it.
    package init(
        epoch: Duration = .seconds(15 * 60), idle: Duration = .seconds(60 * 60),
        lifetime: Duration = .seconds(24 * 60 * 60)
    ) {
        self.epoch = .seconds(Self.wholeSeconds(epoch))
        self.idle = .seconds(Self.wholeSeconds(idle))
        self.lifetime = .seconds(Self.wholeSeconds(lifetime))
    }

    /// What the server's PAIRED has; nil if one of the three is zero.
    init?(_ payload: PairedPayload) {
        guard payload.epochSeconds > 0, payload.idleSeconds > 0, payload.lifetimeSeconds > 0 else { return nil }
        epoch = .seconds(payload.epochSeconds)
        idle = .seconds(payload.idleSeconds)
        lifetime = .seconds(payload.lifetimeSeconds)
    }

    private static func wholeSeconds(_ duration: Duration) -> UInt32 {
        let (seconds, attoseconds) = duration.components
        guard seconds < Int64(UInt32.max) else { return .max }
        return UInt32(max(1, seconds + (attoseconds > 0 ? 1 : 0)))
    }
}

extension PairedPayload {
    /// PAIRED's payload for a new conversation.
    init(id: ConversationID, nonce: UInt64, lifetimes: Lifetimes) {
        self.init(
            conversationID: id.bytes, nonce: nonce, epochSeconds: UInt32(clamping: lifetimes.epoch.components.seconds),
            idleSeconds: UInt32(clamping: lifetimes.idle.components.seconds),
            lifetimeSeconds: UInt32(clamping: lifetimes.lifetime.components.seconds))
    }
}
