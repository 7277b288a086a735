// Conversations in memory: gone when the process is, and the clients pair again.

package import Pairing
internal import Synchronization

/// A vault of bounded size in locked memory.
///
/// Two kinds of lock: one for the table, held for a look-up only, and one per conversation, held while it is lent. A
/// thread never waits for the table while it holds a conversation.
package final class MemoryVault: ConversationVault {
    private let capacity: Int
    private let table = Mutex<[ConversationID: Slot]>([:])

    /// `capacity` is the most conversations it holds at once.
    package init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    package func store(_ conversation: consuming Conversation) throws(VaultError) {
        let id = conversation.id
        let now = conversation.lastUsed
        let slot = Slot(conversation)
        if insert(slot, id) { return }
        sweep(at: now)
        guard insert(slot, id) else { throw .full(capacity: capacity) }
    }

    package func withConversation<R: ~Copyable, E: Error>(
        _ id: ConversationID, at now: ContinuousClock.Instant, _ body: (inout Conversation) throws(E) -> R
    ) throws(E) -> R? {
        guard let slot = table.withLock({ $0[id] }) else { return nil }
        return try slot.withConversation { (conversation) throws(E) in
            if conversation.isExpired(at: now) { return nil }
            let result = try body(&conversation)
            conversation.touch(at: now)
            return result
        }
    }

    package func touch(_ id: ConversationID, at now: ContinuousClock.Instant) {
        _ = withConversation(id, at: now) { _ in }
    }

    package func isLive(_ id: ConversationID, at now: ContinuousClock.Instant) -> Bool {
        guard let slot = table.withLock({ $0[id] }) else { return false }
        return slot.withConversation { conversation in !conversation.isExpired(at: now) } ?? false
    }

    package func remove(_ id: ConversationID) {
        table.withLock { $0.removeValue(forKey: id) }?.clear()
    }

    @discardableResult
    package func sweep(at now: ContinuousClock.Instant) -> Int {
        var removed = 0
        for (id, slot) in table.withLock({ $0 }) where slot.sweep(at: now) == .removed {
            removed += 1
            // Only this slot: the id could have been stored anew meanwhile.
            table.withLock { if $0[id] === slot { $0.removeValue(forKey: id) } }
        }
        return removed
    }

    package var count: Int { table.withLock { $0.count } }

    /// False if there is no room.
    private func insert(_ slot: Slot, _ id: ConversationID) -> Bool {
        let (isIn, replaced): (Bool, Slot?) = table.withLock { table in
            if let old = table[id] {
                table[id] = slot
                return (true, old)
            }
            guard table.count < capacity else { return (false, nil) }
            table[id] = slot
            return (true, nil)
        }
        replaced?.clear()
        return isIn
    }
}

/// One conversation with its lock; empty once it has been removed, even if another thread still holds the slot.
private final class Slot: Sendable {
    enum SweepResult { case kept, removed }

    private let conversation: Mutex<Conversation?>

    init(_ conversation: consuming Conversation) {
        self.conversation = Mutex(conversation)
    }

    /// Lends the conversation; nil if it has been removed.
    func withConversation<R: ~Copyable, E: Error>(
        _ body: (inout Conversation) throws(E) -> R?
    ) throws(E) -> R? {
        try conversation.withLock { (slot) throws(E) -> R? in
            guard var conversation = slot.take() else { return nil }
            do throws(E) {
                let result = try body(&conversation)
                slot = consume conversation
                return result
            } catch {
                slot = consume conversation
                throw error
            }
        }
    }

    /// Wipes the conversation.
    func clear() {
        conversation.withLock { $0 = nil }
    }

    /// Wipes the conversation if it has expired, moves its ratchet on if not.
    func sweep(at now: ContinuousClock.Instant) -> SweepResult {
        conversation.withLock { slot in
            guard var conversation = slot.take() else { return .removed }
            if conversation.isExpired(at: now) { return .removed }
            // A ratchet that cannot move on would leave an old root behind: such a conversation ends instead.
            do { try conversation.ratchetLeavingGrace(at: now) } catch { return .removed }
            slot = consume conversation
            return .kept
        }
    }
}
