// Names that are given out once. An object's address is reused after the object has gone, so it must never stand for
// the object in a table or in a letter to another loop: whoever asks later finds a stranger.
internal import Synchronization

/// The name of one object for the life of the process. Never reused, and safe to send to another loop.
struct Ticket: Hashable, Sendable {
    private let number: UInt64
    private static let last = Atomic<UInt64>(0)

    /// A name that nothing had before.
    init() { number = Self.last.wrappingAdd(1, ordering: .relaxed).newValue }
}
