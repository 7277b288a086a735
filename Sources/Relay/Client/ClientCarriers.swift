// How a client's loop comes by carriers: opened ahead of need, kept while they are worth it, dialled again when the server
// was away.
internal import DequeModule
internal import Pairing
internal import Settings
internal import Wire

extension ClientRole {
    /// Carriers on their way at once.
    private static let dialLimit = 64
    /// Failed dials are repeated no sooner than this, however many application connections ask.
    private static let pace: Nanoseconds = 100_000_000
    /// A dial that takes longer may hang on a way that is gone: another one is tried beside it, up to so many.
    private static let hanging: Nanoseconds = 2_000_000_000
    private static let mostBeside = 2

    /// Takes in a carrier that is new or whose stream is over.
    func give(_ carrier: Carrier) {
        // Who hears it gives it, once.
        guard !carrier.isSuspect || carrier.link.hungUp || carrier.isRetiring else { return }
        askAbout(carrier)
        guard carrier.phase == .idle else { return }
        if !carrier.link.hungUp, !carrier.isRetiring {
            while let application = nextWaiting() {
                guard application.shares else { return open(application, on: carrier) }
                if trunk?.takesStreams != true {
                    retireTrunk()
                    carrier.share()
                    trunk = carrier
                }
                openShared(application)
            }
            if carrier.phase == .shared { return refill() }
            if let stream = nextHeavy() {
                expectWord(of: carrier)
                return carrier.move(stream)
            }
        }
        // One that asks waits for its answer.
        guard carrier.withdrawing == nil || carrier.link.hungUp else { return }
        guard !carrier.link.hungUp, !carrier.isRetiring, !shard.isDraining || pool.count == 0, pool.put(carrier) else {
            return carrier.end(.orderly)
        }
        leaveIfDone()
    }

    /// An application connection waits: does not sit out a long pause after earlier failures.
    func hurry() {
        guard shared.hasConversation(at: .now) else { return requestPairing(urgently: true) }
        if let dialRetry {
            guard !isRetryFixed else { return }
            dialRetry.cancel()
            self.dialRetry = nil
            let earliest = dialledAt &+ Self.pace
            if shard.now < earliest {
                self.dialRetry = shard.arm(self, after: earliest &- shard.now)
                return
            }
        }
        refill()
    }

    /// Opens as many carriers as are missing.
    func refill() {
        guard !hasLeft, dialRetry == nil else { return }
        let ahead = shard.isDraining ? 0 : max(0, pool.floor - pool.count)
        let needed = min(wanted + ahead, backoff.isWary ? 1 : Self.dialLimit)
        let young = dials.values.count { shard.now &- $0.since < Self.hanging }
        let missing = min(needed - young, needed + (wanted > 0 ? Self.mostBeside : 0) - dials.count)
        if !dials.isEmpty || missing > 0 { lookAtDialsAgain() }
        guard missing > 0 else { return }
        guard shared.hasConversation(at: .now) else {
            if !waiting.isEmpty { requestPairing(urgently: true) }
            return
        }
        dialledAt = shard.now
        for _ in 0..<missing {
            let dial = CarrierDial(self) { [unowned self] dial, result in
                dials[dial.ticket] = nil
                dialled(result)
            }
            dials[dial.ticket] = dial
            dial.start()
        }
    }

    private func lookAtDialsAgain() {
        guard dialLook == nil, wanted > 0 else { return }
        dialLook = shard.arm(self, after: Self.hanging)
    }

    /// Carriers that somebody waits for: those who share need one between them.
    var wanted: Int {
        waiting.unshared + (waiting.count > waiting.unshared ? 1 : 0) + heavy.count + (doubts.unasked.isEmpty ? 0 : 1)
    }

    private func dialled(_ result: CarrierDialResult) {
        switch result {
        case .opened(let carrier):
            backoff.gotThrough()
            tell(shared.watch.answers(at: shard.now))
            shard.counters.resumes &+= 1
            adopt(carrier)
            give(carrier)
            if carrier.phase != .closed { carrier.advance() }
            refill()
        case .rejected(let generation):
            guard shared.rejected(generation: generation) else { return refill() }
            forgetUnanswerable()
            shard.emit(.pairingAgain)
            requestPairing(urgently: !waiting.isEmpty)
        case .failed(let why):
            shard.emit(.carrierLost("cannot open a carrier: \(why)"))
            tell(shared.watch.unreached(why, at: shard.now))
            dialFailed()
        case .shortage(let what):
            shard.emit(.shortage(server: settings.server.description, what))
            dialFailed()
        }
    }

    private func dialFailed() {
        guard dialRetry == nil, !hasLeft else { return }
        isRetryFixed = false
        dialRetry = shard.arm(self, after: backoff.next(inDemand: wanted > 0))
    }

    /// The server gave a carrier and took it away before it was of use.
    func wasUseless() {
        guard dialRetry == nil, !hasLeft else { return }
        isRetryFixed = true
        dialRetry = shard.arm(self, after: backoff.nextAfterUseless())
    }

    func tell(_ event: RelayEvent?) {
        if let event, !shard.isDraining { shard.emit(event) }
    }

    /// Notes that carriers have been of use, and whether the server was heard.
    func lookAtServer() {
        let conversation = shared.conversation
        if let useful = carriers.values.first(where: { isUseful($0) && $0.belongs(to: conversation) }) {
            wasUseful(useful)
        }
        tell(shared.watch.look(heard: carriers.values.lazy.map(\.lastHeard).max(), at: shard.now))
    }

    func isUseful(_ carrier: Carrier) -> Bool { shard.now &- carrier.since >= Backoff.useful }

    func wasUseful(_ carrier: Carrier) {
        backoff.reset()
        shared.wasUseful(carrier.peer.conversation)
    }
}
