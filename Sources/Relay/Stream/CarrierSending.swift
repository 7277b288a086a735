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
            if !link.isEmpty {
                guard endpoint.writable else { return true }
                guard sendSome() else { return phase != .closed }
                continue
            }
            link.rewind()
            guard encodeDue() else { return false }
            if phase == .streaming, !ledger.hasSentFin, let app, app.readable {
                if rounds > 0 {
                    rounds -= 1
                    guard fill(from: app) else { return false }
                } else if link.outEnd == 0 {
                    usedUpTurn()
                    releaseOut()
                    return true
                }
            }
            guard link.outEnd > 0 else {
                releaseOut()
                return true
            }
        }
    }

    /// Sends from the region. False if the link is full or broken.
    func sendSome() -> Bool {
        switch link.send(by: endpoint) {
        case .moved:
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
            first.say(count, to: link.payloadPlace)
            guard encodeData(count) else { return false }
        }
        while app.readable, first?.isInDoubt != true {
            let slots = min(framesPerRound, (RegionSize.bytes - link.outEnd) / RegionSize.fullFrame)
            guard slots > 0 else { return true }
            // One frame's payload is asked for first, which for small messages is the cheaper call, and
            // several at once as long as that is filled.
            let wasBulk = app.isBulk
            switch wasBulk ? readFrames(from: app, slots) : app.read(link.payloadPlace, FrameHeader.maxPlaintext) {
            case .moved(let count):
                app.isBulk = count >= FrameHeader.maxPlaintext
                if let first, count >= FrameHeader.maxPlaintext || !first.keep(link.payloadPlace, count) {
                    self.first = nil
                }
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

    /// Reads into the payload places of the next `count` frames.
    private func readFrames(from app: Endpoint, _ count: Int) -> Transfer {
        let vectors = shard.vectors
        var place = link.payloadPlace
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
        message.write(to: link.payloadPlace)
        guard encode(.fin, FinMessage.size) else { return false }
        directionEnded()
        guard phase != .closed else { return false }
        return encodeDue()
    }

    /// Encodes the frames that are due, at `outEnd`. False if the carrier is closed now.
    func encodeDue() -> Bool {
        guard !link.due.isEmpty || opening != nil || handing != nil || link.rekey.hasFrameDue || withdrawing != nil
        else {
            return true
        }
        guard ensureOut() else { return false }
        // A confirmation is the first frame of its carrier, OPEN or MOVED the first of its stream.
        for (frame, type) in Self.dueFirst where link.due.contains(frame) {
            link.due.remove(frame)
            guard encode(type, 0) else { return false }
        }
        // A question first: nothing follows MOVE.
        guard encodeWithdrawing(), encodeHanding() else { return false }
        for (frame, type) in Self.dueThen where link.due.contains(frame) && phase != .confirming {
            link.due.remove(frame)
            guard encode(type, 0) else { return false }
        }
        if let message = opening {
            opening = nil
            message.write(to: link.payloadPlace)
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
        let place = link.payloadPlace
        switch message {
        case .move(let message):
            message.write(to: place)
            return encode(.move, MoveMessage.size)
        case .moved(let message):
            message.write(to: place)
            return encode(.moved, MovedMessage.size)
        }
    }

    /// Encodes one frame whose `length` plaintext bytes are in their place. False if the carrier is closed now.
    func encode(_ type: FrameType, _ length: Int) -> Bool {
        do throws(CodecError) {
            try link.encode(type, length, with: shard.cipher)
        } catch {
            lost(.local(.encoding(error)))
            return false
        }
        shard.counters.framesOut &+= 1
        return true
    }

    /// One last frame, if the link takes it at once; nobody waits for it.
    func sayLastWord(_ type: FrameType, _ reason: ReasonMessage?) {
        guard !linkIsGone, phase != .confirming, link.isEmpty, endpoint.writable, link.hasKeys, ensureOut() else {
            return
        }
        link.rewind()
        guard sealBundle() else { return }
        reason?.write(to: link.payloadPlace)
        guard encode(type, reason == nil ? 0 : ReasonMessage.size) else { return }
        _ = link.send(by: endpoint)
        if link.isEmpty { link.rewind() }
    }

    /// Makes sure that there is a region to encode into. False, and the carrier closed, without memory.
    func ensureOut() -> Bool {
        if link.ensureOut(shard.regions) { return true }
        end(.lost(.local(.outOfMemory)))
        return false
    }

    func releaseOut() { link.releaseOut(shard.regions) }
}
