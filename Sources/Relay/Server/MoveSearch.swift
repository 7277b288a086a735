// The server looks for the stream that MOVE names. The shared carrier it is on may belong to another loop than the
// carrier it shall go to, so the question goes from loop to loop, and the answer straight back. If the carrier that
// asked ends meanwhile, word of that goes the same way and so arrives behind the question.
internal import Pairing
internal import Wire

extension ServerRole {
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) {
        look(for: search(carrier, message))
    }

    /// `carrier` ended before its MOVE was answered.
    func withdrawMove(of carrier: Carrier) {
        guard let message = carrier.asked else { return }
        withdraw(search(carrier, message))
    }

    private func search(_ carrier: Carrier, _ message: MoveMessage) -> MoveSearch {
        MoveSearch(
            message: message, conversation: carrier.peer.conversation, carrier: carrier.ticket, home: shard.index,
            loopsLeft: loops.count)
    }

    private func look(for search: MoveSearch) {
        if let stream = sharedStream(search.message.stream, of: search.conversation) {
            return stream.handOver(at: search.message.progress, to: search.carrier) { [unowned self] in
                answer(search, $0)
            }
        }
        if !ask(next: search, { $0.look(for: $1) }) { answer(search, nil) }
    }

    private func withdraw(_ search: MoveSearch) {
        if let stream = sharedStream(search.message.stream, of: search.conversation) {
            return stream.withdraw(search.carrier)
        }
        _ = ask(next: search) { $0.withdraw($1) }
    }

    /// Sends the question on to the next loop that is still there; false if all have been asked.
    private func ask(next search: MoveSearch, _ question: @escaping @Sendable (ServerRole, MoveSearch) -> Void) -> Bool
    {
        var search = search
        while search.loopsLeft > 1 {
            search.loopsLeft -= 1
            let next = (search.home + loops.count - search.loopsLeft) % loops.count
            if loops.doors[next].send({ [search] in question($0, search) }) { return true }
        }
        return false
    }

    private func answer(_ search: MoveSearch, _ stream: MovingStream?) {
        guard search.home != shard.index else { return take(stream, search.carrier) }
        // A loop that has ended has no carrier that asks; a stream that nobody takes is reset.
        loops.doors[search.home].send { $0.take(stream, search.carrier) }
    }

    private func take(_ stream: MovingStream?, _ ticket: Ticket) {
        guard let carrier = carrier(ticket) else {
            stream?.part(on: shard)
            return
        }
        carrier.takeOver(stream)
        // The roster may have changed while the stream was on its way.
        review(carrier)
    }
}

/// A question on its way from shard to shard.
struct MoveSearch: Sendable {
    let message: MoveMessage
    let conversation: ConversationID
    /// The carrier that asks, on the loop `home`.
    let carrier: Ticket
    let home: Int
    /// Loops that have not been asked yet, this one included.
    var loopsLeft: Int
}
