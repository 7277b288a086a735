// REKEY: a new X25519 exchange is mixed into a carrier's entropy while its stream goes on.
//
//   one end                                    the other
//   REKEY offer(e)   ------------------------>  agrees; authorisation is checked again
//                    <------------------------  REKEY answer(e'), the last frame before its own
//   agrees, mixes its receiving side               sending side is mixed
//   REKEY done       ------------------------>  mixes its receiving side
//   mixes its sending side behind it
//
// Each direction changes at a frame of its own, so nothing waits. Either end may offer when its own
// limits say so; if both do at once, the client's offer counts and the server's is forgotten.
internal import Codec
internal import Wire

/// What a carrier remembers of REKEY.
struct RekeyState: ~Copyable {
    /// The limits at which the next exchange is due.
    var atFrames: UInt64 = .max
    var atBytes: UInt64 = .max
    var atTime: Nanoseconds = .max
    /// Our offer's ephemeral key, until the answer comes.
    var offered: X25519.PrivateKey?
    /// A frame that waits for room in the region, and what is mixed into our sending side behind it.
    var frameDue: RekeyMessage?
    var mixBehindFrame: Secret?
    /// We answered: what is mixed into our receiving side when the other end is done.
    var mixWhenDone: Secret?

    /// The stream ended here, and the client may not have known that yet when it offered: one offer of it may still come
    /// (server only).
    var mayOfferLate = false

    var hasFrameDue: Bool { frameDue != nil }
    var isUnderWay: Bool { offered != nil || frameDue != nil || mixWhenDone != nil }

    /// Sets the limits from now on.
    mutating func begin(now: Nanoseconds, frames: UInt64 = 0, bytes: UInt64 = 0, _ timings: CarrierTimings) {
        atFrames = frames &+ timings.rekeyFrames
        atBytes = bytes &+ timings.rekeyBytes
        atTime = now &+ timings.rekeyEvery
    }
}

extension Carrier {
    private var framesSoFar: UInt64 { (keys?.sending.next ?? 0) &+ (keys?.receiving.next ?? 0) }
    /// Bytes of streams that went through, both ways.
    var bytesSoFar: UInt64 { carriedBytes &+ ledger.sent &+ ledger.received }

    /// Offers a new exchange if a limit is reached.
    func rekeyIfDue() {
        guard phase == .streaming || phase == .shared, !linkIsGone else { return }
        guard framesSoFar >= rekey.atFrames || bytesSoFar >= rekey.atBytes || shard.now >= rekey.atTime else { return }
        guard !rekey.isUnderWay else { return }
        guard owner.carrierMayGoOn(self) else {
            return abort(.authorisationWithdrawn)
        }
        shard.handledSecrets()
        let ephemeral = X25519.PrivateKey()
        rekey.frameDue = .offer(ephemeral.publicKey)
        rekey.offered = consume ephemeral
        shard.again(self)
    }

    /// REKEY came. Throws nothing; a step that does not fit ends the carrier.
    func handleRekey(_ message: RekeyMessage) {
        shard.handledSecrets()
        allowance.spend(Cost.agreement, in: shard.turns)
        do throws(CodecError) {
            switch message {
            case .offer(let key): try handleOffer(key)
            case .answer(let key): try handleAnswer(key)
            case .done: try handleDone()
            }
        } catch {
            violated(.rekey(error))
        }
    }

    /// An offer comes only while a stream is open, as far as the other end knows.
    private func mayBeOffered() -> Bool {
        guard phase == .idle else { return true }
        defer { rekey.mayOfferLate = false }
        return rekey.mayOfferLate
    }

    private func handleOffer(_ key: [UInt8]) throws(CodecError) {
        guard mayBeOffered() else { return violated(.rekeyOnIdle) }
        if rekey.offered != nil {
            // Both offered at once: the client goes on waiting for its answer, the server gives in.
            if side == .client { return }
            rekey.offered = nil
        }
        guard rekey.mixWhenDone == nil, rekey.mixBehindFrame == nil else { return violated(.outOfPlace(.rekey)) }
        guard owner.carrierMayGoOn(self) else {
            return abort(.authorisationWithdrawn)
        }
        let ephemeral = X25519.PrivateKey()
        let shared = try ephemeral.agree(with: key)
        rekey.frameDue = .answer(ephemeral.publicKey)
        rekey.mixBehindFrame = shared.copy()
        rekey.mixWhenDone = consume shared
    }

    private func handleAnswer(_ key: [UInt8]) throws(CodecError) {
        guard let ephemeral = rekey.offered.take(), rekey.frameDue == nil else {
            return violated(.outOfPlace(.rekey))
        }
        let shared = try ephemeral.agree(with: key)
        keys!.receiving.mix(shared)
        rekey.frameDue = .done
        rekey.mixBehindFrame = consume shared
        rekeyed()
    }

    private func handleDone() throws(CodecError) {
        guard let shared = rekey.mixWhenDone.take(), rekey.frameDue == nil else {
            return violated(.outOfPlace(.rekey))
        }
        keys!.receiving.mix(shared)
        rekeyed()
    }

    private func rekeyed() {
        shard.counters.rekeys &+= 1
        shard.emit(.rekeyed(service))
        rekey.begin(now: shard.now, frames: framesSoFar, bytes: bytesSoFar, timings)
    }

    /// Encodes the frame that is due, and mixes the sending side behind it. False if the carrier is
    /// closed now.
    func encodeRekey() -> Bool {
        guard let message = rekey.frameDue.take() else { return true }
        if case .offer = message, phase == .idle || phase == .moving {
            // Its stream has ended meanwhile.
            rekey.offered = nil
            return true
        }
        message.write(to: out! + outEnd + FrameHeader.size)
        guard encode(.rekey, message.encodedCount) else { return false }
        if let shared = rekey.mixBehindFrame.take() { keys!.sending.mix(shared) }
        return true
    }
}
