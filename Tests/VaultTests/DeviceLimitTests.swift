// How many conversations a server keeps of one device when nothing else is said: what docs/OPERATIONS.md promises.

import Pairing
import Testing

@testable import Vault

@Suite("Conversations of one device")
struct DeviceLimitTests {
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
