// Conversations in memory: gone when the process is, and the clients pair again.

package import Pairing

/// A vault of bounded size in locked memory.
///
/// Two kinds of lock: one for the table, held for a look-up only, and one per conversation, held while it is lent. A
/// thread never waits for the table while it holds a conversation.
package final class MemoryVault: ConversationVault {
    private let capacity: Int
    private let perDevice: Int
    private let ratchet: Ratchet
    private let table = Guarded(Table())

    /// The most conversations of one device, unless told otherwise: more than hosts share an identity file, and too few
    /// for one device to fill a daemon's vault.
    package static let usualPerDevice = 1024

    /// Moves a conversation's ratchet on as time passes.
    typealias Ratchet = @Sendable (inout Conversation, Moment) throws(PairingError) -> Void

    /// `capacity` is the most conversations it holds at once, `perDevice` the most of one device: the oldest goes, so
    /// that no device can fill the vault.
    package convenience init(capacity: Int, perDevice: Int = MemoryVault.usualPerDevice) {
        self.init(capacity: capacity, perDevice: perDevice) { (conversation, now) throws(PairingError) in
            try conversation.ratchetLeavingGrace(at: now)
        }
    }

    /// The same with a ratchet of the test's own, which may fail.
    init(capacity: Int, perDevice: Int, ratchet: @escaping Ratchet) {
        precondition(capacity > 0 && perDevice > 0)
        self.capacity = capacity
        self.perDevice = perDevice
        self.ratchet = ratchet
    }

    package func store(_ conversation: consuming Conversation) throws(VaultError) {
        let id = conversation.id
        let now = conversation.lastUsed
        let step = conversation.nextStep(after: now)
        let slot = Slot(conversation)
        if insert(slot, id, step) { return }
        sweep(at: now)
        guard insert(slot, id, step) else { throw .full(capacity: capacity) }
    }

    package func withConversation<R: ~Copyable, E: Error>(
        _ id: ConversationID, at now: Moment, _ body: (inout Conversation) throws(E) -> R
    ) throws(E) -> R? {
        guard let slot = table.withLock({ $0.slots[id] }) else { return nil }
        return try slot.withConversation { (conversation) throws(E) in
            if conversation.isExpired(at: now) { return nil }
            return try body(&conversation)
        }
    }

    @discardableResult
    package func touch(_ id: ConversationID, at now: Moment) -> Bool {
        touch(id, at: now, isInUse: false)
    }

    @discardableResult
    package func touch(_ id: ConversationID, at now: Moment, isInUse: Bool) -> Bool {
        table.withLock { $0.slots[id] }?.touch(at: now, isInUse) ?? false
    }

    package func begin(
        stream number: UInt64, in id: ConversationID, at now: Moment, isInUse: Bool
    ) -> StreamBeginning {
        guard let slot = table.withLock({ $0.slots[id] }), slot.touch(at: now, isInUse) else { return .tooLate }
        return slot.begunStreams.withLock { $0.begin(number) } ? .begun : .withdrawn
    }

    package func withdraw(
        streams numbers: [UInt64], in id: ConversationID, at now: Moment
    ) -> [UInt64] {
        guard let slot = table.withLock({ $0.slots[id] }), slot.isLive(at: now) else { return numbers }
        return slot.begunStreams.withLock { begun in numbers.filter { !begun.withdraw($0) } }
    }

    package func isLive(_ id: ConversationID, at now: Moment) -> Bool {
        table.withLock { $0.slots[id] }?.isLive(at: now) ?? false
    }

    package func expiry(of id: ConversationID, at now: Moment) -> Moment? {
        guard let expiry = table.withLock({ $0.slots[id] })?.expiry, now < expiry else { return nil }
        return expiry
    }

    package func remove(_ id: ConversationID) {
        table.withLock { $0.remove(id) }?.clear()
    }

    @discardableResult
    package func removeAll(of device: PublicKey) -> Int {
        let slots = table.withLock { $0.removeAll(of: device) }
        for slot in slots { slot.clear() }
        return slots.count
    }

    @discardableResult
    package func sweep(at now: Moment) -> Int {
        var removed = 0
        var next: Moment?
        let slots = table.withLock { table in
            // What is stored from here on notes itself.
            table.nextSweep = nil
            return table.slots
        }
        for (id, slot) in slots {
            guard let step = slot.sweep(at: now, ratchet) else {
                removed += 1
                // Only this slot: the id could have been stored anew meanwhile.
                table.withLock { if $0.slots[id] === slot { _ = $0.remove(id) } }
                continue
            }
            next = min(next ?? step, step)
        }
        if let next { table.withLock { $0.sweep(by: next) } }
        return removed
    }

    package var nextSweep: Moment? { table.withLock { $0.slots.isEmpty ? nil : $0.nextSweep } }

    package var count: Int { table.withLock { $0.slots.count } }

    /// False if there is no room. `step` is when something is to be done for the conversation.
    private func insert(_ slot: Slot, _ id: ConversationID, _ step: Moment) -> Bool {
        let (isIn, gone): (Bool, Slot?) = table.withLock { table in
            guard table.slots[id] != nil || table.slots.count < capacity else { return (false, nil) }
            let replaced = table.remove(id)
            table.insert(slot, id)
            table.sweep(by: step)
            return (true, replaced ?? table.removeOldest(of: slot.device, beyond: perDevice))
        }
        gone?.clear()
        return isIn
    }
}

/// What the table's lock guards: the conversations by id, and the ids of each device, oldest first.
private struct Table {
    private(set) var slots: [ConversationID: Slot] = [:]
    private var ids: [PublicKey: [ConversationID]] = [:]
    /// Never later than the first moment at which a conversation here needs a sweep.
    var nextSweep: Moment?

    mutating func sweep(by moment: Moment) { nextSweep = min(nextSweep ?? moment, moment) }

    mutating func insert(_ slot: Slot, _ id: ConversationID) {
        slots[id] = slot
        ids[slot.device, default: []].append(id)
    }

    mutating func remove(_ id: ConversationID) -> Slot? {
        guard let slot = slots.removeValue(forKey: id) else { return nil }
        ids[slot.device]?.removeAll { $0 == id }
        if ids[slot.device]?.isEmpty == true { ids[slot.device] = nil }
        return slot
    }

    mutating func removeAll(of device: PublicKey) -> [Slot] {
        (ids.removeValue(forKey: device) ?? []).compactMap { slots.removeValue(forKey: $0) }
    }

    /// The oldest conversation of a device that has more than `limit`.
    mutating func removeOldest(of device: PublicKey, beyond limit: Int) -> Slot? {
        guard let all = ids[device], all.count > limit else { return nil }
        return remove(all[0])
    }
}

/// One conversation with its lock; empty once it has been removed, even if another thread still holds the slot.
private final class Slot: Sendable {
    let device: PublicKey
    private let conversation: Guarded<Conversation?>
    /// Its streams so far.
    let begunStreams = Guarded(BegunStreams())

    init(_ conversation: consuming Conversation) {
        device = conversation.device
        self.conversation = Guarded(conversation)
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

    /// Notes a use; false if the conversation is gone or has expired.
    func touch(at now: Moment, _ isInUse: Bool) -> Bool {
        conversation.withLock { slot in
            guard (isInUse ? slot?.isAged(at: now) : slot?.isExpired(at: now)) == false else { return false }
            slot?.touch(at: now)
            return true
        }
    }

    func isLive(at now: Moment) -> Bool {
        withConversation { conversation in !conversation.isExpired(at: now) } ?? false
    }

    var expiry: Moment? { withConversation { conversation in conversation.expiry } }

    /// Wipes the conversation.
    func clear() {
        conversation.withLock { $0 = nil }
    }

    /// Wipes the conversation if it has expired, moves its ratchet on if not, and says when it needs this again; nil if it
    /// is gone.
    func sweep(at now: Moment, _ ratchet: MemoryVault.Ratchet) -> Moment? {
        conversation.withLock { slot in
            guard var conversation = slot.take() else { return nil }
            if conversation.isExpired(at: now) { return nil }
            // A ratchet that cannot move on would leave an old root behind: such a conversation ends instead.
            do { try ratchet(&conversation, now) } catch { return nil }
            let step = conversation.nextStep(after: now)
            slot = consume conversation
            return step
        }
    }
}
