// The server looks for the stream that MOVE names. The shared carrier it is on may belong to another loop than the
// carrier it shall go to, so the question goes from loop to loop, and the answer straight back.
internal import Pairing
internal import Wire

extension ServerRole {
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) {
        let search = MoveSearch(
            message: message, conversation: carrier.peer.conversation, carrier: ObjectIdentifier(carrier),
            home: shard.index, loopsLeft: loops.mailboxes.count)
        look(for: search)
    }

    private func look(for search: MoveSearch) {
        if let stream = sharedStream(search.message.stream, of: search.conversation) {
            return stream.handOver(at: search.message.progress) { [unowned self] in answer(search, $0) }
        }
        guard search.loopsLeft > 1 else { return answer(search, nil) }
        var search = search
        search.loopsLeft -= 1
        loops.mailboxes[(shard.index + 1) % loops.mailboxes.count].post { [search] shard in
            (shard.role as? ServerRole)?.look(for: search)
        }
    }

    private func answer(_ search: MoveSearch, _ stream: MovingStream?) {
        guard search.home != shard.index else { return take(stream, search.carrier) }
        loops.mailboxes[search.home].post { shard in (shard.role as? ServerRole)?.take(stream, search.carrier) }
    }

    private func take(_ stream: MovingStream?, _ id: ObjectIdentifier) { carrier(id)?.takeOver(stream) }
}

/// A question on its way from shard to shard.
struct MoveSearch: Sendable {
    let message: MoveMessage
    let conversation: ConversationID
    /// The carrier that asks, on the loop `home`.
    let carrier: ObjectIdentifier
    let home: Int
    /// Loops that have not been asked yet, this one included.
    var loopsLeft: Int
}
