// Which carriers of a loop streams share, and where a stream on one of them is found.
internal import Pairing

/// The shared carriers of one loop of a server, by conversation.
struct Trunks {
    private var byConversation: [ConversationID: [Carrier]] = [:]

    /// Every one of them.
    var all: [Carrier] { byConversation.values.flatMap { $0 } }

    /// `carrier` is a shared one from now on.
    mutating func add(_ carrier: Carrier) { byConversation[carrier.peer.conversation, default: []].append(carrier) }

    /// Forgets `carrier`, if it was one.
    mutating func remove(_ carrier: Carrier) {
        let id = carrier.peer.conversation
        guard var shared = byConversation[id] else { return }
        shared.removeAll { $0 === carrier }
        byConversation[id] = shared.isEmpty ? nil : shared
    }

    /// The stream with this number on a shared carrier of the conversation.
    func stream(_ number: UInt64, of conversation: ConversationID) -> SharedStream? {
        for trunk in byConversation[conversation] ?? [] {
            if let stream = trunk.sharing?.streams[number] { return stream }
        }
        return nil
    }

    /// Whether the conversation of `carrier` has a shared stream besides the one that has just been opened on it.
    func isInUse(besidesOneOn carrier: Carrier) -> Bool {
        byConversation[carrier.peer.conversation]?.contains { $0.sharedStreams > ($0 === carrier ? 1 : 0) } ?? false
    }
}
