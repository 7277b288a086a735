// How a heavy stream moves from a shared carrier to one of its own:
//
//   client                                     server
//   stops reading the application
//   MOVE stream, what it sent  ------------->  waits until all of that has come by the shared carrier,
//                                              takes the target's connection over from there
//   takes the application's    <-------------  MOVED what it sent
//   connection over once all of that has come
//   DATA ...                   <------------>  DATA ...
//
// At each end the stream has one owner at any time. If it is over before, the server says STAYS and the carrier is
// idle again.
internal import Wire

extension Carrier {
    /// The stream is still arriving by the shared carrier: frames behind it wait.
    var awaitsStream: Bool { phase == .moving && (side == .server || movedTo != nil) }

    /// Takes `stream` over from the shared carrier it is on (client, idle only).
    func move(_ stream: SharedStream) {
        mustBeIdle()
        service = stream.service
        moving = stream
        phase = .moving
        movingSince = shard.now
        handing = .move(stream.beginMove())
        advance()
    }

    /// MOVE came: the role looks for the stream (server).
    func handleMove(_ message: MoveMessage) {
        allowance.spend(Cost.question, in: shard.turns)
        phase = .moving
        movingSince = shard.now
        asked = message
        owner.atServer?.carrier(self, takesOver: message)
    }

    /// The stream that MOVE named is `stream`, or nil if there is none any more (server).
    func takeOver(_ stream: MovingStream?) {
        guard phase == .moving, let message = asked else {
            stream?.part(on: shard)
            return
        }
        asked = nil
        guard let stream else {
            link.due.insert(.stays)
            becomeIdle()
            return advance()
        }
        guard stream.number == message.stream, stream.conversation == peer.conversation else {
            stream.part(on: shard)
            return abort(.foreignStream)
        }
        handing = .moved(MovedMessage(stream: stream.number, progress: stream.ledger.progress))
        goOn(with: stream)
    }

    /// MOVED came (client).
    func handleMoved(_ message: MovedMessage) {
        guard let moving else { return }
        guard message.stream == moving.number else { return violated(.movedAnother) }
        guard !moving.isOver else { return abort(.endedInMove) }
        movedTo = message.progress
        movingSince = shard.now
        moving.handOver(at: message.progress, to: ticket) { [weak self, shard] stream in
            guard let self, phase == .moving else {
                stream?.part(on: shard)
                return
            }
            self.moving = nil
            movedTo = nil
            guard let stream else { return abort(.endedInMove) }
            goOn(with: stream)
        }
    }

    /// STAYS came (client).
    func handleStays() {
        guard let stream = moving else { return }
        moving = nil
        stream.stay()
        becomeIdle()
    }

    private func goOn(with stream: MovingStream) {
        guard ensureInbound() else { return }
        guard let app = stream.adopt(on: shard.poller) else {
            return abort(.unwatched)
        }
        service = stream.service
        place = stream.place.take()
        self.app = app
        app.driver = self
        app.readable = true
        app.writable = app.brokenBy == 0
        carriedBytes &+= ledger.sent &+ ledger.received
        ledger = stream.ledger
        closedReceived = false
        isMisplaced = false
        turnsUsedUp = 0
        movedAt = shard.now
        shard.counters.streamsOpen += 1
        phase = .streaming
        link.lastHeard = shard.now
        deliverFirst(stream)
        directionEnded()
        if phase != .closed { advance() }
    }
}
