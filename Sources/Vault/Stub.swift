package import Pairing
package enum VaultError: Error { case full }
package protocol ConversationVault: Sendable {
 func store(_ c: consuming Conversation) throws(VaultError)
 func withConversation<R: ~Copyable, E: Error>(_ id: ConversationID, at now: ContinuousClock.Instant, _ body: (inout Conversation) throws(E) -> R) throws(E) -> R?
 func touch(_ id: ConversationID, at: ContinuousClock.Instant)
 func isLive(_ id: ConversationID, at: ContinuousClock.Instant) -> Bool
 func remove(_ id: ConversationID)
 func sweep(at: ContinuousClock.Instant) -> Int
 var count: Int { get } }
package final class MemoryVault: ConversationVault { package init(capacity: Int) {}
 package func store(_ c: consuming Conversation) throws(VaultError) {}
 package func withConversation<R: ~Copyable, E: Error>(_ id: ConversationID, at now: ContinuousClock.Instant, _ body: (inout Conversation) throws(E) -> R) throws(E) -> R? { nil }
 package func touch(_ id: ConversationID, at: ContinuousClock.Instant) {}
 package func isLive(_ id: ConversationID, at: ContinuousClock.Instant) -> Bool { true }
 package func remove(_ id: ConversationID) {}
 package func sweep(at: ContinuousClock.Instant) -> Int { 0 }
 package var count: Int { 0 } }
