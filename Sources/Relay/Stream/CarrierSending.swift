// The pipe from the application to the link.
//
//   1. what is encoded and unsent goes first; nothing else happens while the link is full
//   2. control frames that are due are encoded at the front of the empty region
//   3. the application is read straight into the payload places of up to four full frames
//   4. each frame is encoded in place, by an encoder of its own
//   5. FIN follows the last byte, with the total
//   6. everything leaves in one call
//
// The region is given back as soon as it is empty, so an idle stream holds no buffer.
internal import CLinux
internal import Codec
internal import Glibc
internal import Wire

/// Control frames that wait for room in the region.
struct DueFrames: OptionSet {
    let rawValue: UInt8
    static let confirm = DueFrames(rawValue: 1)
    static let confirmed = DueFrames(rawValue: 2)
    static let ping = DueFrames(rawValue: 4)
    static let pong = DueFrames(rawValue: 8)
    static let closed = DueFrames(rawValue: 16)
    static let stays = DueFrames(rawValue: 32)
    static let bye = DueFrames(rawValue: 64)
    static let leaving = DueFrames(rawValue: 128)
}

/// What is said when a stream comes to a carrier of its own.
enum Handing {
    case move(MoveMessage)
    case moved(MovedMessage)
}

extension Carrier {
    /// Rounds of reading and sending that one stream has before the others on its shard have theirs:
    /// at most 512 KiB each way, and 64 KiB when there is a crowd.
    var roundsPerTurn: Int { shard.isCrowded ? 1 : 2 }
    /// Full frames that a round moves at most.
    var framesPerRound: Int { shard.isCrowded ? 1 : RegionSize.frames }

    /// Moves bytes from the application to the link. False if the carrier is closed now.
    func transmit() -> Bool {
        guard !linkIsGone, phase != .departing else { return true }
        guard phase != .shared else { return transmitShared() }
        var rounds = roundsPerTurn
        while true {
            if outStart < outEnd {
                guard link.writable else { return true }
                guard sendSome() else { return phase != .closed }
                continue
            }
            outStart = 0
            outEnd = 0
            guard encodeDue() else { return false }
            if phase == .streaming, !ledger.hasSentFin, let app, app.readable {
                if rounds > 0 {
                    rounds -= 1
                    guard fill(from: app) else { return false }
                } else if outEnd == 0 {
                    usedUpTurn()
                    releaseOut()
                    return true
                }
            }
            guard outEnd > 0 else {
                releaseOut()
                return true
            }
        }
    }

    /// Sends from the region. False if the link is full or broken.
    func sendSome() -> Bool {
        switch link.send(out! + outStart, outEnd - outStart) {
        case .moved(let count):
            outStart += count
            movedAt = shard.now
            return true
        case .blocked, .ended: return false
        case .failed:
            // What came in before the link broke is looked at first; the end of it says the same.
            if !isStalled { shard.again(self) }
            return false
        }
    }

    /// Reads the application into the region behind what is there, and encodes. False if the carrier
    /// is closed now.
    private func fill(from app: Endpoint) -> Bool {
        guard ensureOut() else { return false }
        if let first, first.unsaid > 0 {
            // No more than a frame holds.
            let count = first.unsaid
            first.say(count, to: payloadPlace)
            guard encodeData(count) else { return false }
        }
        while app.readable, first?.isInDoubt != true {
            let slots = min(framesPerRound, (RegionSize.bytes - outEnd) / RegionSize.fullFrame)
            guard slots > 0 else { return true }
            // One frame's payload is asked for first, which for small messages is the cheaper call, and
            // several at once as long as that is filled.
            let wasBulk = app.isBulk
            switch wasBulk ? readFrames(from: app, slots) : app.read(payloadPlace, FrameHeader.maxPlaintext) {
            case .moved(let count):
                app.isBulk = count >= FrameHeader.maxPlaintext
                if let first, count >= FrameHeader.maxPlaintext || !first.keep(payloadPlace, count) { self.first = nil }
                guard encodeData(count) else { return false }
                if app.isBulk, !wasBulk { continue }
            case .ended: return encodeFin()
            case .blocked: return true
            case .failed(let error):
                applicationBroke(error)
                return false
            }
            // Only an announced end is worth a second read before sending: FIN then leaves with the
            // last bytes.
            guard app.hungUp else { return true }
        }
        return true
    }

    private var payloadPlace: UnsafeMutableRawPointer { out! + outEnd + FrameHeader.size }

    /// Reads into the payload places of the next `count` frames.
    private func readFrames(from app: Endpoint, _ count: Int) -> Transfer {
        let vectors = shard.vectors
        var place = payloadPlace
        for index in 0..<count {
            vectors[index] = iovec(iov_base: place, iov_len: FrameHeader.maxPlaintext)
            place += RegionSize.fullFrame
        }
        return app.read(vectors, count, wanted: count * FrameHeader.maxPlaintext)
    }

    /// Encodes `count` bytes that lie in the payload places from `outEnd` on.
    private func encodeData(_ count: Int) -> Bool {
        var left = count
        while left > 0 {
            let length = min(left, FrameHeader.maxPlaintext)
            guard encode(.data, length) else { return false }
            left -= length
        }
        ledger.send(count)
        shard.counters.bytesOut &+= UInt64(count)
        return true
    }

    /// Encodes FIN, and CLOSED with it if the other direction has ended before.
    private func encodeFin() -> Bool {
        ledger.finSent()
        let message = FinMessage(total: ledger.sent)
        message.write(to: out! + outEnd + FrameHeader.size)
        guard encode(.fin, FinMessage.size) else { return false }
        directionEnded()
        guard phase != .closed else { return false }
        return encodeDue()
    }

    /// Encodes the frames that are due, at `outEnd`. False if the carrier is closed now.
    func encodeDue() -> Bool {
        guard !due.isEmpty || opening != nil || handing != nil || rekey.hasFrameDue || withdrawing != nil else {
            return true
        }
        guard ensureOut() else { return false }
        // A confirmation is the first frame of its carrier, OPEN or MOVED the first of its stream.
        for (frame, type) in Self.dueFirst where due.contains(frame) {
            due.remove(frame)
            guard encode(type, 0) else { return false }
        }
        // A question first: nothing follows MOVE.
        guard encodeWithdrawing(), encodeHanding() else { return false }
        for (frame, type) in Self.dueThen where due.contains(frame) && phase != .confirming {
            due.remove(frame)
            guard encode(type, 0) else { return false }
        }
        if let message = opening {
            opening = nil
            message.write(to: out! + outEnd + FrameHeader.size)
            guard encode(.open, message.encodedCount) else { return false }
        }
        return encodeRekey()
    }

    private static let dueFirst: [(DueFrames, FrameType)] = [
        (.confirm, .confirm), (.confirmed, .confirmed), (.pong, .pong), (.ping, .ping),
    ]
    private static let dueThen: [(DueFrames, FrameType)] = [
        (.closed, .closed), (.stays, .stays), (.leaving, .leaving), (.bye, .bye),
    ]

    private func encodeHanding() -> Bool {
        guard let message = handing else { return true }
        handing = nil
        let place = out! + outEnd + FrameHeader.size
        switch message {
        case .move(let message):
            message.write(to: place)
            return encode(.move, MoveMessage.size)
        case .moved(let message):
            message.write(to: place)
            return encode(.moved, MovedMessage.size)
        }
    }

    /// Encodes one frame whose `length` plaintext bytes are in their place behind `outEnd`, with an
    /// encoder that exists for this frame only.
    func encode(_ type: FrameType, _ length: Int) -> Bool {
        let frame = out! + outEnd
        do throws(CodecError) {
            let encoder = try keys!.sending.makeEncoder()
            FrameHeader(type: type, length: length, nonce: encoder.nonce).write(to: frame)
            encoder.encode(frame: frame, count: length, with: shard.cipher)
        } catch {
            lost(.local(.encoding(error)))
            return false
        }
        outEnd += FrameHeader.size + length + FrameHeader.tagSize
        shard.counters.framesOut &+= 1
        return true
    }

    /// One last frame, if the link takes it at once; nobody waits for it.
    func sayLastWord(_ type: FrameType, _ reason: ReasonMessage?) {
        guard !linkIsGone, phase != .confirming, outStart == outEnd, link.writable, keys != nil, ensureOut() else {
            return
        }
        outStart = 0
        outEnd = 0
        guard sealBundle() else { return }
        reason?.write(to: out! + outEnd + FrameHeader.size)
        guard encode(type, reason == nil ? 0 : ReasonMessage.size) else { return }
        if case .moved(outEnd) = link.send(out!, outEnd) { outEnd = 0 }
    }

    /// Makes sure that there is a region to encode into. False, and the carrier closed, without memory.
    func ensureOut() -> Bool {
        if out != nil { return true }
        out = shard.regions.take()
        if out == nil { end(.lost(.local(.outOfMemory))) }
        return out != nil
    }

    func releaseOut() {
        guard let region = out else { return }
        out = nil
        outStart = 0
        outEnd = 0
        shard.regions.put(region)
    }
}
