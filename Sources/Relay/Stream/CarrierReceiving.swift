// The pipe from the link to the application.
//
//   1. plaintext that waits is written first; nothing is read while the application does not take it,
//      so TCP's own flow control reaches the far application
//   2. complete frames are decoded in place, each by a decoder of its own, and checked
//   3. DATA becomes one vector of the next write; small neighbours are joined
//   4. FIN becomes a shutdown once everything before it is written
//   5. more is received into the same region
//
// No plaintext is looked at before its tag was verified, and a frame that is not exactly the next one
// ends the carrier.
internal import CLinux
internal import Codec
internal import Glibc
internal import Wire

extension Carrier {
    /// The plaintext waiting to be written lives in the region; its vectors lie behind the last place
    /// a received byte can have.
    private var vectors: UnsafeMutablePointer<iovec> {
        (link.inbound! + RegionSize.receive).assumingMemoryBound(to: iovec.self)
    }
    private static let vectorLimit = 16
    /// Payloads up to this size are moved next to their neighbour instead of getting a vector.
    private static let joined = 2048

    /// Whether plaintext waits for the application, so that the link is not being read.
    var isStalled: Bool { vectorFirst < vectorEnd || holdsFrames }

    /// Records of a bundle wait for the next turn.
    var hasRecords: Bool { bundleNext < bundleEnd }

    /// Whether this carrier may cost more in this turn.
    var mayCostMore: Bool { allowance.isLeft(in: shard.turns) && allowance.pause(now: shard.now) == 0 }

    /// There is more to read, but not now.
    private func readLater() {
        let pause = allowance.pause(now: shard.now)
        guard pause > 0 else { return shard.again(self) }
        if rest == nil { rest = shard.arm(self, after: pause) }
    }

    /// Frames behind OPEN or MOVE wait until there is somebody to write to.
    private var holdsFrames: Bool { phase == .dialing || awaitsStream }

    /// Moves bytes from the link to the application, as far as the device's allowance goes. False if the carrier is
    /// closed now.
    func receive() -> Bool {
        let most = allowance.frames(in: shard.turns, now: shard.now)
        framesLeft = most
        let isOpen = receiveRounds()
        if framesLeft < most {
            allowance.spend(Cost.frame &* (most &- framesLeft), in: shard.turns)
            shard.heard(allowance.ticket)
            if trust.isSuspect, isOpen { owner.atClient?.carrierIsHeard(self) }
        }
        return isOpen && phase != .closed
    }

    private func receiveRounds() -> Bool {
        var rounds = roundsPerTurn
        while true {
            guard deliver() else { return phase != .closed }
            guard linkIsGone || decodeFrames() else { return false }
            guard framesLeft > 0, !hasRecords else {
                readLater()
                return true
            }
            if vectorFirst < vectorEnd { continue }
            if ledger.incoming == .ended {
                // The stream is about to be given up, and must not end in order before.
                guard app?.brokenBy == 0 else {
                    ledger.passOnEnd()
                    continue
                }
                endOfReceiving()
                guard phase != .closed else { return false }
                continue
            }
            link.forgetDecoded()
            guard endpoint.readable, !holdsFrames, !linkIsGone else { break }
            guard rounds > 0 else {
                usedUpTurn()
                break
            }
            rounds -= 1
            guard receiveSome() else { return phase != .closed }
        }
        if link.filled == 0 { releaseInbound() }
        return true
    }

    /// Writes the waiting plaintext. False if some is left (or the carrier is closed).
    private func deliver() -> Bool {
        while vectorFirst < vectorEnd {
            guard let app else { return false }
            // Nobody can take it any more. What the application sent before is still on its way out.
            guard app.brokenBy == 0 else { break }
            guard app.writable else { return false }
            var wanted = 0
            for index in vectorFirst..<vectorEnd { wanted += vectors[index].iov_len }
            switch app.write(vectors + vectorFirst, vectorEnd - vectorFirst, wanted: wanted) {
            case .moved(let count):
                movedAt = shard.now
                written(count)
            case .blocked, .ended: return false
            case .failed(let error):
                // It is read to its end, which says the same, unless that has been done.
                guard ledger.hasSentFin else { continue }
                applicationBroke(error)
                return false
            }
        }
        vectorFirst = 0
        vectorEnd = 0
        if carried != nil { letGoOfCarried() }
        return true
    }

    /// What `stream` brought along is written before anything that comes here.
    func deliverFirst(_ stream: MovingStream) {
        guard let waiting = stream.waiting else { return }
        carried = stream
        vectors[0] = waiting
        vectorFirst = 0
        vectorEnd = 1
    }

    private func letGoOfCarried() {
        carried = nil
        place?.holds(0)
    }

    private func written(_ count: Int) {
        var left = count
        while left > 0 {
            let length = vectors[vectorFirst].iov_len
            guard left < length else {
                left -= length
                vectorFirst += 1
                continue
            }
            vectors[vectorFirst].iov_base += left
            vectors[vectorFirst].iov_len -= left
            return
        }
    }

    /// Everything the far application sent has been written: passes its end on.
    private func endOfReceiving() {
        ledger.passOnEnd()
        // If the other direction has ended before, the socket is closed now, which says FIN too.
        if !ledger.hasSentFin { app?.shutdownWrite() }
        directionEnded()
    }

    /// Reads once from the link. False if nothing came (or the carrier is closed).
    private func receiveSome() -> Bool {
        guard ensureInbound() else { return false }
        switch link.receive(framesPerRound * RegionSize.fullFrame, by: endpoint) {
        case .moved: return true
        case .blocked:
            if link.filled == 0 { releaseInbound() }
            return false
        case .ended: lost(.link(.closed))
        case .failed(let error): lost(.link(.failed(error)))
        }
        return false
    }

    /// Makes sure that there is a region to receive into. False, and the carrier closed, without memory.
    func ensureInbound() -> Bool {
        if link.ensureInbound(shard.regions) { return true }
        end(.lost(.local(.outOfMemory)))
        return false
    }

    /// What was decoded for the application and not written, taken out.
    func undelivered() -> Backlog {
        var bytes = Backlog()
        for index in vectorFirst..<vectorEnd {
            guard bytes.append(vectors[index].iov_base, vectors[index].iov_len) else { break }
        }
        releaseInbound()
        return bytes
    }

    /// Decodes complete frames until the vectors are full, the frames are used up, or one changes what
    /// may happen next. False if the carrier is closed now.
    private func decodeFrames() -> Bool {
        guard !hasRecords || receiveRecords() else { return false }
        // After a FIN nothing is looked at before the end was passed on. Whatever it is, it cannot take back that every
        // byte arrived.
        while !holdsFrames, vectorEnd < Self.vectorLimit, ledger.incoming != .ended, !hasRecords, framesLeft > 0 {
            do throws(PeerFault) {
                guard let header = try link.nextHeader() else { return true }
                let plaintext = try link.decode(header, with: shard.cipher, now: shard.now)
                framesLeft &-= 1
                shard.counters.framesIn &+= 1
                guard take(header, plaintext) else { return false }
            } catch {
                violated(error)
                return false
            }
        }
        return true
    }

    /// Judges a verified frame by its type. False if the carrier is closed now.
    @inline(__always)
    private func take(_ header: FrameHeader, _ plaintext: UnsafeMutableRawPointer) -> Bool {
        if header.type == .data {
            guard isReceivingData else {
                violated(.outOfPlace(.data))
                return false
            }
            append(plaintext, header.length)
            return true
        }
        guard header.type == .bundle else {
            return handle(header.type, UnsafeRawBufferPointer(start: plaintext, count: header.length))
        }
        bundleNext = link.parsed - FrameHeader.tagSize - header.length
        bundleEnd = bundleNext + header.length
        return beginBundle() && receiveRecords()
    }

    private var isReceivingData: Bool { phase == .streaming && ledger.incoming == .open }

    /// Adds decoded bytes to what the next write takes.
    private func append(_ plaintext: UnsafeMutableRawPointer, _ length: Int) {
        if first != nil { first = nil }
        ledger.receive(length)
        shard.counters.bytesIn &+= UInt64(length)
        if vectorEnd > 0, carried == nil, length <= Self.joined {
            let last = vectors[vectorEnd - 1]
            memmove(last.iov_base + last.iov_len, plaintext, length)
            vectors[vectorEnd - 1].iov_len += length
        } else {
            vectors[vectorEnd] = iovec(iov_base: plaintext, iov_len: length)
            vectorEnd += 1
        }
    }

    /// A verified frame that is neither DATA nor BUNDLE. False if the carrier is closed now.
    private func handle(_ type: FrameType, _ plaintext: UnsafeRawBufferPointer) -> Bool {
        guard isLegal(type) else {
            violated(phase == .confirming ? .unconfirmed(type) : .outOfPlace(type))
            return false
        }
        do throws(WireError) {
            switch type {
            case .confirm, .confirmed:
                phase = .idle
                owner.carrierConfirmed(self)
            case .open: try handleOpen(OpenMessage(parsing: plaintext))
            case .fin: try handleFin(FinMessage(parsing: plaintext))
            case .closed:
                closedReceived = true
                if phase == .finishing { becomeIdle() }
            case .refused, .abort: try handleEnd(type, ReasonMessage(parsing: plaintext))
            case .ping: link.due.insert(.pong)
            case .pong: break
            case .rekey: try handleRekey(RekeyMessage(parsing: plaintext))
            case .bye: owner.atServer?.carrierSaidBye(self)
            case .leaving: handleLeaving()
            case .move: try handleMove(MoveMessage(parsing: plaintext))
            case .moved: try handleMoved(MovedMessage(parsing: plaintext))
            case .stays: handleStays()
            case .withdraw: try handleWithdraw(StreamNumbersMessage(parsing: plaintext))
            case .withdrawn: try handleWithdrawn(StreamNumbersMessage(parsing: plaintext))
            // Looked at before.
            case .data, .bundle: break
            }
        } catch {
            violated(.malformed(error))
        }
        return phase != .closed
    }

    /// Whether a frame of this type is legal now.
    func isLegal(_ type: FrameType) -> Bool {
        switch FrameRules.rule(type, at: side, in: phase) {
        case .never: false
        case .always: true
        case .when(let condition): holds(condition)
        }
    }

    private func holds(_ condition: FrameCondition) -> Bool {
        switch condition {
        case .untilFin: !ledger.hasFin
        case .bothEnded: ledger.hasEnded && !closedReceived
        // Before they have left, the client cannot know that the carrier is free.
        case .afterClosed: !link.due.contains(.closed) && !link.due.contains(.stays)
        case .once: !leavingHeard
        case .asked: withdrawing?.isDue == false
        case .oneAtATime: withdrawing == nil
        case .instead: movedTo == nil && moving != nil
        case .everyStreamEnded: sharing?.streams.values.allSatisfy(\.hasEndedAtPeer) ?? true
        // The exchange itself knows (CarrierRekey.swift).
        case .rekeyIsDue: true
        }
    }

    private func handleOpen(_ message: OpenMessage) {
        spendOnStream()
        guard message.streamNumber > lastOpened else { return violated(.numberDoesNotRise) }
        lastOpened = message.streamNumber
        phase = .dialing
        service = message.service
        owner.atServer?.carrier(self, opens: message)
    }

    private func handleFin(_ message: FinMessage) {
        do throws(PeerFault) {
            try ledger.receiveFin(message.total)
        } catch {
            return violated(error)
        }
        first = nil
    }

    /// The peer gives the stream up. It may have seen less of its end than this end has.
    private func handleEnd(_ type: FrameType, _ message: ReasonMessage) {
        if type == .refused, let why = GivenBack(message.reason), giveBack(why) { return }
        if type == .refused { owner.atClient?.carrier(self, wasRefused: service, message.reason) }
        end(.streamBroken(.given(message.reason)))
    }

    /// The server has not taken the stream: the role opens it again. False if that cannot be.
    func giveBack(_ why: GivenBack) -> Bool {
        guard let first = first.take(), let app, app.brokenBy == 0, phase == .streaming else { return false }
        self.app = nil
        app.driver = nil
        shard.counters.streamsOpen -= 1
        first.didNotBegin(why)
        owner.atClient?.carrier(self, givesBack: app, first, why)
        end(.orderly)
        return true
    }

    func releaseInbound() {
        guard link.inbound != nil else { return }
        link.releaseInbound(shard.regions)
        vectorFirst = 0
        vectorEnd = 0
        bundleNext = 0
        bundleEnd = 0
        if carried != nil { letGoOfCarried() }
    }
}
