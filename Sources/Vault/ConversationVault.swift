// Where a server keeps its conversations. Memory today; durable stores follow behind the same protocol.

package import Pairing

/// Why a conversation was not stored.
package enum VaultError: Error, Equatable, Sendable, CustomStringConvertible {
    /// As many live conversations as the vault may hold. The pairing is refused.
    case full(capacity: Int)

    /// In words, for logs.
    package var description: String {
        switch self {
        case .full(let capacity): "no room for more than \(capacity) conversations"
        }
    }
}

/// Whether a stream may begin.
package enum StreamBeginning: Sendable {
    /// It has begun.
    case begun
    /// It must not: its client has withdrawn it.
    case withdrawn
    /// The conversation is unknown or has expired.
    case tooLate
}

/// The server's store of conversations. Safe to call from every thread.
///
/// Time is always given by the caller. A conversation that has expired at that time is as good as gone, whether or not
/// a sweep has come by since.
package protocol ConversationVault: Sendable {
    /// Keeps a conversation whose client has confirmed its keys. If the vault is full it is swept first, as of the
    /// time the conversation was last used.
    func store(_ conversation: consuming Conversation) throws(VaultError)

    /// Lends the conversation to `body`, alone. That prolongs nothing by itself. Nil if it is unknown or has expired at
    /// `now`.
    func withConversation<R: ~Copyable, E: Error>(
        _ id: ConversationID, at now: Moment, _ body: (inout Conversation) throws(E) -> R
    ) throws(E) -> R?

    /// Notes that a carrier or a stream used the conversation. False, and nothing noted, if it is unknown or has
    /// expired at `now`.
    @discardableResult func touch(_ id: ConversationID, at now: Moment) -> Bool

    /// The same; a conversation that `isInUse`, because a stream is open in it, has expired only when its lifetime is over.
    @discardableResult func touch(_ id: ConversationID, at now: Moment, isInUse: Bool) -> Bool

    /// Notes that the stream `number` begins in the conversation, which is a use of it like `touch`.
    func begin(
        stream number: UInt64, in id: ConversationID, at now: Moment, isInUse: Bool
    ) -> StreamBeginning

    /// Gives up streams of the conversation: none of `numbers` can begin from now on. Returns those that have begun, or
    /// of which that is not known; all of them if the conversation is unknown or has expired at `now`.
    func withdraw(
        streams numbers: [UInt64], in id: ConversationID, at now: Moment
    ) -> [UInt64]

    /// Whether the conversation is here and has not expired at `now`. Prolongs nothing.
    func isLive(_ id: ConversationID, at now: Moment) -> Bool

    /// When the conversation expires if it is not used again; nil if it is unknown or has expired at `now`. Prolongs
    /// nothing.
    func expiry(of id: ConversationID, at now: Moment) -> Moment?

    /// Ends a conversation now: its root is wiped before this returns.
    func remove(_ id: ConversationID)

    /// Ends every conversation of a device now, as `remove` does, and returns how many there were.
    @discardableResult func removeAll(of device: PublicKey) -> Int

    /// Removes every conversation that has expired at `now`, moves the ratchet of the others on, and returns how many
    /// were removed. To be called when ``nextSweep`` has come, or soon after.
    @discardableResult func sweep(at now: Moment) -> Int

    /// When the first conversation expires or an epoch of one ends: no sweep has anything to do before. It may be too
    /// early, because of uses since the last sweep. Nil without conversations.
    var nextSweep: Moment? { get }

    /// How many conversations there are, those included that have expired since the last sweep.
    var count: Int { get }
}
