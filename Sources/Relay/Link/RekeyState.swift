// REKEY: a new X25519 exchange is mixed into a carrier's entropy while its stream goes on.
//
//   one end                                    the other
//   REKEY offer(e)   ------------------------>  agrees; authorisation is checked again
//                    <------------------------  REKEY answer(e'), the last frame before its own
//   agrees, mixes its receiving side               sending side is mixed
//   REKEY done       ------------------------>  mixes its receiving side
//   mixes its sending side after it
//
// Each direction changes at a frame of its own, so nothing waits. Either end may offer when its own limits say so. If both
// do at once, the client's offer counts and the server's is forgotten.
internal import Codec
internal import Wire

/// When the next exchange is due.
struct RekeyLimits {
    private var frames: UInt64 = .max
    private var bytes: UInt64 = .max
    private var time: Nanoseconds = .max

    /// Sets the limits from now on, after so many frames and bytes.
    mutating func begin(now: Nanoseconds, frames: UInt64 = 0, bytes: UInt64 = 0, _ timings: CarrierTimings) {
        self.frames = frames &+ timings.rekeyFrames
        self.bytes = bytes &+ timings.rekeyBytes
        time = now &+ timings.rekeyEvery
    }

    /// Whether one of them is reached.
    func areReached(now: Nanoseconds, frames: UInt64, bytes: UInt64) -> Bool {
        frames >= self.frames || bytes >= self.bytes || now >= time
    }
}

/// An exchange that is under way, if one is.
struct RekeyState: ~Copyable {
    /// What is to be done after a REKEY frame came.
    enum Step {
        /// Nothing: another frame is waited for, or the offer is forgotten.
        case wait
        /// The peer offers with this public key: answer, or end the carrier.
        case offered([UInt8])
        /// The receiving side has new entropy.
        case renewed
    }

    /// Our offer's ephemeral key, until the answer comes.
    var offered: X25519.PrivateKey?
    /// A frame that waits for room in the region, and what is mixed into our sending side after it.
    var frameDue: RekeyMessage?
    var mixAfterFrame: Secret?
    /// We answered: what is mixed into our receiving side when the other end is done.
    private var mixWhenDone: Secret?

    var hasFrameDue: Bool { frameDue != nil }
    var isUnderWay: Bool { offered != nil || frameDue != nil || mixWhenDone != nil }

    /// Offers a new exchange.
    mutating func offer() {
        let ephemeral = X25519.PrivateKey()
        frameDue = .offer(ephemeral.publicKey)
        offered = consume ephemeral
    }

    /// REKEY came at `side`. A key that is due is mixed into `receiving`.
    mutating func receive(
        _ message: RekeyMessage, at side: Side, mixing receiving: inout DecoderSource
    ) throws(PeerFault) -> Step {
        switch message {
        case .offer(let key):
            if offered != nil {
                // Both offered at once: the client goes on waiting for its answer, the server gives in.
                if side == .client { return .wait }
                offered = nil
            }
            guard mixWhenDone == nil, mixAfterFrame == nil else { throw .outOfPlace(.rekey) }
            return .offered(key)
        case .answer(let key):
            guard let ephemeral = offered.take(), frameDue == nil else { throw .outOfPlace(.rekey) }
            let shared = try Self.agree(ephemeral, key)
            receiving.mix(shared)
            frameDue = .done
            mixAfterFrame = consume shared
            return .renewed
        case .done:
            guard let shared = mixWhenDone.take(), frameDue == nil else { throw .outOfPlace(.rekey) }
            receiving.mix(shared)
            return .renewed
        }
    }

    /// Answers an offer with this public key.
    mutating func answer(_ key: [UInt8]) throws(PeerFault) {
        let ephemeral = X25519.PrivateKey()
        let shared = try Self.agree(ephemeral, key)
        frameDue = .answer(ephemeral.publicKey)
        mixAfterFrame = shared.copy()
        mixWhenDone = consume shared
    }

    private static func agree(_ ephemeral: borrowing X25519.PrivateKey, _ key: [UInt8]) throws(PeerFault) -> Secret {
        do throws(CodecError) {
            return try ephemeral.agree(with: key)
        } catch {
            throw .rekey(error)
        }
    }
}
