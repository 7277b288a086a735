// How many conversations a server keeps of one device when nothing else is said: what docs/OPERATIONS.md promises.

import Pairing
import Testing

@testable import Vault

@Suite("Conversations of one device")
struct DeviceLimitTests {
    @Test("All conversations of a device end at once, and no other device's")
    func removeAll() throws {
        let vault = MemoryVault(capacity: 10)
        let (one, other) = (Ends(), Ends())
        let ids = (0..<3).map { _ in one.mint.mint() }
        for id in ids { try vault.store(try one.conversation(id: id, at: one.start)) }
        let kept = other.mint.mint()
        try vault.store(try other.conversation(id: kept, at: other.start))
        #expect(vault.removeAll(of: one.device.publicKey) == 3)
        #expect(ids.allSatisfy { !vault.isLive($0, at: one.start) } && vault.isLive(kept, at: other.start))
        #expect(vault.count == 1 && vault.removeAll(of: one.device.publicKey) == 0)
        // The device may pair again.
        try vault.store(try one.conversation(id: ids[0], at: one.start))
        #expect(vault.isLive(ids[0], at: one.start) && vault.removeAll(of: one.device.publicKey) == 1)
    }

    @Test("A vault keeps 1,024 conversations of a device, and those that came last")
    func standard() throws {
        let vault = MemoryVault(capacity: 2000)
        let ends = Ends()
        var ids: [ConversationID] = []
        for _ in 0..<1026 {
            let id = ends.mint.mint()
            try vault.store(try ends.conversation(id: id, at: ends.start))
            ids.append(id)
        }
        #expect(vault.count == 1024)
        #expect(ids.map { vault.isLive($0, at: ends.start) } == [false, false] + Array(repeating: true, count: 1024))
    }
}
