// What both ends hold after a pairing: the root secret and the clockwork that moves and ends it.

internal import Codec
internal import Wire

/// One conversation. It owns its root, which is wiped when it is dropped.
package struct Conversation: ~Copyable, Sendable {
    /// Its name in RESUME.
    package let id: ConversationID
    /// The client's identity.
    package let device: PublicKey
    /// The server's identity.
    package let server: PublicKey
    /// When this end finished the pairing.
    package let pairedAt: Moment
    /// How long it may live.
    package let lifetimes: Lifetimes
    /// When it was last used; only ever moves forward.
    package private(set) var lastUsed: Moment
    /// How many steps the ratchet has taken.
    package private(set) var epoch: UInt32 = 0
    private var root: Secret
    private var answered = AnsweredResumes()

    /// A conversation at epoch 0. `root` has 32 bytes.
    init(
        id: ConversationID, device: PublicKey, server: PublicKey, root: consuming Secret, lifetimes: Lifetimes,
        at now: Moment
    ) {
        self.id = id
        self.device = device
        self.server = server
        self.root = root
        self.lifetimes = lifetimes
        pairedAt = now
        lastUsed = now
    }

    /// Whether its idle time or its lifetime is over. Nothing may be derived from it then.
    package func isExpired(at now: Moment) -> Bool {
        now >= expiry
    }

    /// When its idle time or its lifetime is over, if it is not used again.
    package var expiry: Moment { min(lastUsed + lifetimes.idle, pairedAt + lifetimes.lifetime) }

    /// When something is to be done for it, if it is not used again: it expires, or another epoch begins.
    package func nextStep(after now: Moment) -> Moment {
        min(expiry, pairedAt + lifetimes.epoch * (Int64(dueEpoch(at: now)) + 1))
    }

    /// Whether its lifetime is over, however much it is used.
    package func isAged(at now: Moment) -> Bool {
        now - pairedAt >= lifetimes.lifetime
    }

    /// Notes that a carrier or a stream used it.
    package mutating func touch(at now: Moment) {
        lastUsed = max(lastUsed, now)
    }

    /// The epoch the time since the pairing asks for. The client resumes with this one.
    package func dueEpoch(at now: Moment) -> UInt32 {
        let elapsed = (now - pairedAt).components.seconds
        return UInt32(clamping: max(0, elapsed) / lifetimes.epoch.components.seconds)
    }

    /// Moves on to `epoch` and wipes every root before it. Never moves back.
    package mutating func ratchet(to epoch: UInt32) throws(PairingError) {
        while self.epoch < epoch {
            root = try deriving { () throws(CodecError) in try KeySchedule.ratchet(root) }
            self.epoch += 1
        }
        answered.forget(before: self.epoch)
    }

    /// What a server does by itself as time passes: moves on, but stays one epoch before the one due. A RESUME of
    /// the epoch before may still be under way.
    package mutating func ratchetLeavingGrace(at now: Moment) throws(PairingError) {
        let due = dueEpoch(at: now)
        try ratchet(to: due == 0 ? 0 : due - 1)
    }

    /// Whether RESUME was answered before: a second one is a recording.
    func hasAnswered(_ message: ResumeMessage) -> Bool { answered.contains(message) }

    /// Notes that an authentic RESUME gets its answer.
    mutating func willAnswer(_ message: ResumeMessage) { answered.add(message) }

    /// A copy of the root of `epoch`, which must not be before ``epoch``.
    func root(of epoch: UInt32) throws(PairingError) -> Secret {
        precondition(epoch >= self.epoch)
        var copy = root.copy()
        for _ in self.epoch..<epoch { copy = try deriving { () throws(CodecError) in try KeySchedule.ratchet(copy) } }
        return copy
    }
}
