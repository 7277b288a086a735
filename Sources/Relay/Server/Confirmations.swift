// A new carrier counts only once its client's first frame has come, which proves the device's key; until then it has an
// absolute deadline, and a new conversation is not stored.
internal import Pairing

/// What one new carrier still has to say.
final class Confirmation: Sleeper {
    /// The conversation to store when the carrier of a pairing is confirmed; nil after RESUME.
    var conversation: Conversation?
    /// Where its client called from.
    let address: SocketAddress
    /// Since when it is waited for.
    let since: Nanoseconds
    private let carrier: Carrier
    fileprivate var deadline: Timer?

    fileprivate init(
        _ conversation: consuming Conversation?, _ carrier: Carrier, from address: SocketAddress, since: Nanoseconds
    ) {
        self.conversation = conversation
        self.carrier = carrier
        self.address = address
        self.since = since
    }

    func wake(_ timer: Timer, now: Nanoseconds) { carrier.lost(.local(.notConfirmed)) }
}

/// The confirmations that one loop waits for, by carrier.
struct Confirmations {
    private var pending: [Ticket: Confirmation] = [:]

    /// `carrier` must be confirmed by the moment `limit`; then `conversation` is to be stored.
    mutating func expect(
        _ carrier: Carrier, from address: SocketAddress, storing conversation: consuming Conversation?,
        by limit: Nanoseconds
    ) {
        let shard = carrier.shard
        let confirmation = Confirmation(conversation, carrier, from: address, since: shard.now)
        confirmation.deadline = shard.arm(confirmation, after: limit &- min(limit, shard.now))
        pending[carrier.ticket] = confirmation
    }

    /// Nothing is waited for from `carrier` any more. Returns what was; nil if nothing.
    @discardableResult mutating func take(_ carrier: Carrier) -> Confirmation? {
        let confirmation = pending.removeValue(forKey: carrier.ticket)
        confirmation?.deadline?.cancel()
        return confirmation
    }

    /// Whether `carrier` has not been confirmed yet.
    func awaits(_ carrier: Carrier) -> Bool { pending[carrier.ticket] != nil }
}
