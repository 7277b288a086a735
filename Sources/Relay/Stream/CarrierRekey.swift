// When a carrier renews its keys, and what it asks before. The exchange itself is RekeyState's.
internal import Codec
internal import Wire

extension Carrier {
    /// Bytes of streams that went through, both ways.
    var bytesSoFar: UInt64 { carriedBytes &+ ledger.sent &+ ledger.received }

    /// Offers a new exchange if a limit is reached.
    func rekeyIfDue() {
        guard phase == .streaming || phase == .shared, !linkIsGone else { return }
        guard rekeyLimits.areReached(now: shard.now, frames: link.framesSoFar, bytes: bytesSoFar) else { return }
        guard !link.rekey.isUnderWay else { return }
        guard owner.carrierMayGoOn(self) else { return abort(.authorisationWithdrawn) }
        shard.handledSecrets()
        link.rekey.offer()
        shard.again(self)
    }

    /// REKEY came.
    func handleRekey(_ message: RekeyMessage) {
        shard.handledSecrets()
        allowance.spend(Cost.agreement, in: shard.turns)
        if case .offer = message, !mayBeOffered() { return violated(.rekeyOnIdle) }
        do throws(PeerFault) {
            switch try link.receive(message, at: side) {
            case .wait: break
            case .offered(let key):
                guard owner.carrierMayGoOn(self) else { return abort(.authorisationWithdrawn) }
                try link.rekey.answer(key)
            case .renewed: renewed()
            }
        } catch {
            violated(error)
        }
    }

    /// An offer comes only while a stream is open, as far as the other end knows.
    private func mayBeOffered() -> Bool {
        guard phase == .idle else { return true }
        defer { mayOfferLate = false }
        return mayOfferLate
    }

    private func renewed() {
        shard.counters.rekeys &+= 1
        shard.emit(.rekeyed(service))
        rekeyLimits.begin(now: shard.now, frames: link.framesSoFar, bytes: bytesSoFar, timings)
    }

    /// Encodes the REKEY frame that is due. False if the carrier is closed now.
    func encodeRekey() -> Bool {
        do throws(CodecError) {
            if try link.encodeRekey(isOffered: phase != .idle && phase != .moving, with: shard.cipher) {
                shard.counters.framesOut &+= 1
            }
            return true
        } catch {
            lost(.local(.encoding(error)))
            return false
        }
    }
}
