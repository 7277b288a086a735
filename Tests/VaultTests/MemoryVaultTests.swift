// The vault as a server uses it, with a clock that the tests set.

import Codec
import Testing

@testable import Pairing
@testable import Vault

@Suite("Conversations in memory")
struct MemoryVaultTests {
    private let vault = MemoryVault(capacity: 4)
    private let ends = Ends()
    private var start: Moment { ends.start }

    @Test("A stored conversation is found under its id, others are not")
    func find() throws {
        let id = try store(in: vault)
        #expect(vault.count == 1)
        #expect(vault.withConversation(id, at: start) { $0.id } == id)
        #expect(vault.withConversation(ends.mint.mint(), at: start) { _ in } == nil)
        vault.remove(id)
        #expect(vault.count == 0)
        #expect(vault.withConversation(id, at: start) { _ in } == nil)
        vault.remove(id)
    }

    @Test("A resume works on a stored conversation, as often as it is asked for")
    func resume() throws {
        let initiator = try PairInitiator(identity: ends.device, server: ends.server.publicKey)
        let response = try PairResponder.respond(
            to: initiator.message, identity: ends.server, mint: ends.mint, lifetimes: ends.lifetimes,
            isKnown: { _ in true }, at: start)
        let paired = try initiator.receive(response.reply, at: start)
        var device = paired.conversation
        let confirmed = response.paired
        try vault.store(confirmed.conversation)

        for second in [1, 2, 15, 40] {
            let now = start + .seconds(second)
            let resume = try ResumeInitiator(conversation: &device, identity: ends.device, at: now)
            let received = try ReceivedResume(resume.message, server: ends.server.publicKey)
            let id = received.conversationID
            // Only the hashes run under the conversation's lock; the key agreements follow outside it.
            let authentic = try vault.withConversation(id, at: now) { conversation throws(PairingError) in
                try ResumeResponder.authenticate(received, conversation: &conversation, at: now)
            }
            guard let authentic else {
                Issue.record("the conversation is unknown")
                return
            }
            let accepted = try authentic.accept(identity: ends.server)
            _ = try resume.receive(accept: accepted.reply)
            #expect(vault.withConversation(id, at: now) { $0.lastUsed < now } == true, "nobody has confirmed it yet")
            vault.touch(id, at: now)
            #expect(vault.withConversation(id, at: now) { $0.lastUsed } == now)
        }
    }

    @Test("What the body throws comes out, and lending a conversation is no use of it")
    func throwing() throws {
        let id = try store(in: vault)
        let late = start + .seconds(50)
        #expect(throws: PairingError.peer(.notAuthentic)) {
            try vault.withConversation(id, at: late) { _ throws(PairingError) in throw .peer(.notAuthentic) }
        }
        #expect(vault.withConversation(id, at: start) { $0.lastUsed } == start)
        #expect(vault.count == 1)
        _ = vault.withConversation(id, at: late) { _ in }
        #expect(vault.withConversation(id, at: late) { $0.lastUsed } == start)
        #expect(vault.withConversation(id, at: start + .seconds(100)) { _ in } == nil)
    }

    @Test("The vault holds no more than its capacity, and what expired makes room")
    func capacity() throws {
        let ids = try (0..<4).map { _ in try store(in: vault) }
        #expect(throws: VaultError.full(capacity: 4)) { try store(in: vault) }
        #expect(vault.count == 4)
        vault.remove(ids[0])
        _ = try store(in: vault)
        #expect(vault.count == 4)

        // All four are past their idle time when a fifth client pairs, though nobody has swept.
        _ = try store(in: vault, at: start + .seconds(100))
        #expect(vault.count == 1)
    }

    @Test("Storing an id again replaces the conversation and needs no room")
    func replace() throws {
        let small = MemoryVault(capacity: 1)
        let id = ends.mint.mint()
        try small.store(try ends.conversation(id: id, at: start))
        try small.store(try ends.conversation(id: id, at: start + .seconds(5)))
        #expect(small.count == 1)
        #expect(small.withConversation(id, at: start + .seconds(5)) { $0.pairedAt } == start + .seconds(5))
    }

    @Test("A device that pairs again and again loses its oldest conversations, and nobody else's")
    func perDevice() throws {
        let vault = MemoryVault(capacity: 8, perDevice: 2)
        let other = Ends()
        let othersID = other.mint.mint()
        try vault.store(try other.conversation(id: othersID, at: start))
        let ids = try (0..<4).map { _ in try store(in: vault) }
        #expect(ids.map { vault.isLive($0, at: start) } == [false, false, true, true])
        #expect(vault.isLive(othersID, at: start))
        #expect(vault.count == 3)
    }

    @Test("Without another limit a device keeps 1,024 conversations, and one more costs it the oldest")
    func usualPerDevice() throws {
        let vault = MemoryVault(capacity: 2000)
        let ids = try (0...1024).map { _ in
            let id = ends.mint.mint()
            try vault.store(
                Conversation(
                    id: id, device: ends.device.publicKey, server: ends.server.publicKey, root: Secret(count: 32),
                    lifetimes: ends.lifetimes, at: start))
            return id
        }
        #expect(vault.count == 1024)
        #expect(!vault.isLive(ids[0], at: start))
        #expect(ids.dropFirst().allSatisfy { vault.isLive($0, at: start) })
    }

    @Test("A conversation whose ratchet cannot move on is removed by the sweep, and only that one")
    func failingRatchet() throws {
        let doomed = ends.mint.mint()
        let vault = MemoryVault(capacity: 4, perDevice: 4) { (conversation, now) throws(PairingError) in
            if conversation.id == doomed { throw .local(.kem) }
            try conversation.ratchetLeavingGrace(at: now)
        }
        try vault.store(try ends.conversation(id: doomed, at: start))
        let other = try store(in: vault)
        #expect(vault.sweep(at: start + .seconds(30)) == 1)
        #expect(vault.count == 1)
        #expect(vault.withConversation(doomed, at: start) { _ in } == nil, "an old root would stay behind")
        #expect(vault.withConversation(other, at: start + .seconds(30)) { $0.epoch } == 2)
    }

    @Test("An expired conversation is refused before any sweep, and touching does not bring it back")
    func expiryBeforeSweep() throws {
        let id = try store(in: vault)
        let last = start + .seconds(99)
        let over = start + .seconds(100)
        #expect(vault.touch(id, at: last - .seconds(1)))
        let idle = try store(in: vault)
        #expect(vault.withConversation(idle, at: over) { _ in } == nil)
        #expect(!vault.touch(idle, at: over))
        #expect(vault.touch(id, at: last))
        #expect(vault.withConversation(idle, at: over) { _ in } == nil)
        #expect(vault.withConversation(id, at: over) { _ in } != nil, "used a moment ago")
        #expect(vault.count == 2)
    }

    @Test("Asking whether a conversation lives prolongs nothing")
    func isLive() throws {
        let id = try store(in: vault)
        #expect(vault.isLive(id, at: start + .seconds(99)))
        #expect(!vault.isLive(id, at: start + .seconds(100)))
        #expect(!vault.isLive(ends.mint.mint(), at: start))
        vault.remove(id)
        #expect(!vault.isLive(id, at: start))
    }

    @Test("Use prolongs a conversation up to its lifetime and not beyond")
    func lifetime() throws {
        let id = try store(in: vault)
        for second in stride(from: 0, to: 1000, by: 90) { vault.touch(id, at: start + .seconds(second)) }
        #expect(vault.withConversation(id, at: start + .seconds(999)) { _ in } != nil)
        #expect(vault.withConversation(id, at: start + .seconds(1000)) { _ in } == nil)
    }

    @Test("A sweep removes what expired, keeps the rest and moves their ratchet, one epoch behind the time")
    func sweep() throws {
        let old = try store(in: vault)
        let young = try store(in: vault, at: start + .seconds(60))
        #expect(vault.sweep(at: start + .seconds(60)) == 0)
        #expect(vault.withConversation(old, at: start + .seconds(60)) { $0.epoch } == 5)
        #expect(vault.withConversation(young, at: start + .seconds(60)) { $0.epoch } == 0)

        vault.touch(young, at: start + .seconds(110))
        #expect(vault.sweep(at: start + .seconds(165)) == 1)
        #expect(vault.count == 1)
        #expect(vault.withConversation(old, at: start) { _ in } == nil, "gone, not merely refused")
        #expect(vault.withConversation(young, at: start + .seconds(165)) { $0.epoch } == 9)
        #expect(vault.sweep(at: start + .seconds(1060)) == 1)
        #expect(vault.count == 0)
        #expect(vault.sweep(at: start + .seconds(2000)) == 0)
    }

    @Test("The vault knows when it needs a sweep: at the end of an epoch or of a conversation, and never without any")
    func nextSweep() throws {
        #expect(vault.nextSweep == nil)
        let id = try store(in: vault)
        #expect(vault.nextSweep == start + .seconds(10))
        _ = try store(in: vault, at: start - .seconds(4))
        #expect(vault.nextSweep == start + .seconds(6))
        vault.sweep(at: start + .seconds(10) - .milliseconds(1))
        #expect(vault.nextSweep == start + .seconds(10))
        vault.sweep(at: start + .seconds(91))
        #expect(vault.nextSweep == start + .seconds(96), "the older one expires")
        vault.touch(id, at: start + .seconds(91))
        #expect(vault.sweep(at: start + .seconds(96)) == 1)
        #expect(vault.nextSweep == start + .seconds(100), "an epoch of the other")
        #expect(vault.sweep(at: start + .seconds(187)) == 0)
        #expect(vault.nextSweep == start + .seconds(190))
        #expect(vault.sweep(at: start + .seconds(190)) == 0)
        #expect(vault.nextSweep == start + .seconds(191))
        #expect(vault.expiry(of: id, at: start + .seconds(190)) == start + .seconds(191))
        #expect(vault.expiry(of: id, at: start + .seconds(191)) == nil)
        #expect(vault.sweep(at: start + .seconds(191)) == 1)
        #expect(vault.nextSweep == nil && vault.expiry(of: id, at: start) == nil)
    }

    @Test("A conversation that is removed leaves no sweep behind")
    func nextSweepAfterRemoval() throws {
        let id = try store(in: vault)
        vault.remove(id)
        #expect(vault.nextSweep == nil)
    }

    @Test("Threads may store, use, touch, remove and sweep at once, and nobody sees another's conversation")
    func concurrent() async throws {
        let vault = MemoryVault(capacity: 1000)
        let shared = try store(in: vault)
        let ends = ends
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for round in 0..<25 {
                        let now = ends.start + .seconds(round)
                        let id = ends.mint.mint()
                        try vault.store(try ends.conversation(id: id, at: now))
                        #expect(vault.withConversation(id, at: now) { $0.id } == id)
                        #expect(vault.withConversation(shared, at: now) { $0.id } == shared)
                        vault.touch(shared, at: now)
                        vault.sweep(at: now)
                        vault.remove(id)
                        #expect(vault.withConversation(id, at: now) { _ in } == nil)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(vault.count == 1)
        #expect(vault.withConversation(shared, at: start + .seconds(24)) { $0.lastUsed } == start + .seconds(24))
    }

    /// Stores a new conversation and returns its id.
    @discardableResult
    private func store(in vault: MemoryVault, at now: Moment? = nil) throws -> ConversationID {
        let id = ends.mint.mint()
        try vault.store(try ends.conversation(id: id, at: now ?? start))
        return id
    }
}
