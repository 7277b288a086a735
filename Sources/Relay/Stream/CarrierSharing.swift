// A shared carrier: many streams in one connection, their words joined in bundles, so that one frame and one send
// serve all that had something to say in a turn.
//
//   1. streams add records to the bundle that lies open behind the encoded frames of the region
//   2. at the end of the turn the bundle is encoded, by an encoder of its own, and everything leaves in one call
//   3. streams that found no room are fed again, one piece each, behind what was sent
//
// What comes is read without waiting for any application (SharedStream.swift), so streams do not hold each other up.
internal import Codec
internal import DequeModule
internal import Glibc
internal import Wire

/// What a carrier that is shared has besides.
final class Sharing {
    /// The streams by number.
    var streams: [UInt64: SharedStream] = [:]
    /// The highest number so far. A record of a stream up to it that is not here is late, not wrong.
    var highest: UInt64 = 0
    /// Streams whose OPEN has not left, in the order in which it must (client).
    var unopened: Deque<UInt64> = []
    /// Plaintext bytes of the bundle that is being filled.
    var filled = 0
    /// Streams that found no room.
    var hungry: Deque<SharedStream> = []
    /// Last words of streams that found none.
    var unsaid: [(kind: RecordKind, stream: UInt64, reason: CloseReason)] = []
    /// Streams for which something came in the bundle that is being looked at.
    var touched: [SharedStream] = []
    /// Numbers of streams that went to carriers of their own, the last ones first to be forgotten.
    var moved = MovedStreams()
    /// It will be flushed at the end of this turn ...
    var isFlushDue = false
    /// ... which has come.
    var isFlushing = false

    /// More last words than this wait only for a peer that asks and does not listen.
    static let mostUnsaid = 4096
}

extension Carrier {
    /// Streams on this carrier now, if it is a shared one.
    var sharedStreams: Int { sharing?.streams.count ?? 0 }

    /// Whether another stream may be opened here (client).
    var takesStreams: Bool { phase == .shared && !link.hungUp && !isRetiring }

    /// Makes an idle carrier a shared one, for good.
    func share() {
        mustBeIdle()
        phase = .shared
        sharing = Sharing()
        sharing?.highest = lastOpened
    }

    /// Opens a stream for the application connection `app`, which begins with `first` if it was refused before (client).
    func openShared(_ message: OpenMessage, for app: Endpoint, beginning first: FirstBytes? = nil) {
        let stream = SharedStream(message, for: app, beginning: first, on: self)
        keep(stream)
        sharing?.unopened.append(stream.number)
        stream.advance()
    }

    private func keep(_ stream: SharedStream) {
        sharing?.streams[stream.number] = stream
        sharing?.highest = stream.number
        shard.counters.streams += 1
        shard.counters.streamsOpen += 1
    }

    /// Whether no other stream's OPEN has to leave before that of `number`.
    func mayOpen(_ number: UInt64) -> Bool { sharing?.unopened.first == number }

    /// The OPEN of `number` has left, or never will.
    func hasOpened(_ number: UInt64) {
        guard let sharing else { return }
        if sharing.unopened.first == number {
            sharing.unopened.removeFirst()
        } else {
            sharing.unopened.removeAll { $0 == number }
        }
    }

    /// `stream` is over or has gone elsewhere.
    func forget(_ stream: SharedStream) {
        guard let sharing, sharing.streams.removeValue(forKey: stream.number) != nil else { return }
        guard phase == .shared else { return }
        owner.carrierLostStream(self)
        if isRetiring, sharing.streams.isEmpty { flushSoon() }
    }

    // MARK: Filling the bundle

    /// Where the next record goes, header first; nil if there is no room for one with `count` bytes of payload before
    /// something has been sent.
    func room(forPayload count: Int) -> UnsafeMutableRawPointer? {
        guard phase == .shared, endpoint.writable, ensureOut(), let sharing else { return nil }
        let size = RecordHeader.size + count
        if sharing.filled + size > FrameHeader.maxPlaintext, !sealBundle() { return nil }
        // Control frames that are due go in front of the bundle: CONFIRM is the first frame of its carrier.
        if sharing.filled == 0, link.outEnd + RegionSize.control <= RegionSize.bytes, !encodeDue() { return nil }
        let offset = link.outEnd + FrameHeader.size + sharing.filled
        guard offset + size + FrameHeader.tagSize <= RegionSize.bytes else { return nil }
        return link.out! + offset
    }

    /// Adds the record whose payload stands behind `place`, where `room` said.
    func add(_ header: RecordHeader, at place: UnsafeMutableRawPointer) {
        header.write(to: place)
        sharing?.filled += RecordHeader.size + header.length
        carriedBytes &+= UInt64(header.length)
        flushSoon()
    }

    /// Says why a stream that is not here any more ended, as soon as there is room.
    func say(_ kind: RecordKind, of stream: UInt64, _ reason: CloseReason) {
        guard phase == .shared, let sharing else { return }
        guard sharing.unsaid.isEmpty, let place = room(forPayload: ReasonMessage.size) else {
            guard sharing.unsaid.count < Sharing.mostUnsaid else { return violated(.doesNotListen) }
            sharing.unsaid.append((kind, stream, reason))
            return flushSoon()
        }
        put(kind, stream, reason, at: place)
    }

    private func put(_ kind: RecordKind, _ stream: UInt64, _ reason: CloseReason, at place: UnsafeMutableRawPointer) {
        ReasonMessage(reason: reason).write(to: place + RecordHeader.size)
        add(RecordHeader(kind: kind, length: ReasonMessage.size, stream: stream), at: place)
    }

    /// Pumps `stream` when there is room again.
    func feed(_ stream: SharedStream) {
        sharing?.hungry.append(stream)
        flushSoon()
    }

    // MARK: Sending

    func flushSoon() {
        guard let sharing, !sharing.isFlushDue else { return }
        sharing.isFlushDue = true
        shard.atEndOfTurn(self)
    }

    /// The end of a turn: sends what the streams have said in it.
    func endTurn() {
        guard phase == .shared, let sharing else { return }
        sharing.isFlushDue = false
        sharing.isFlushing = true
        advance()
        sharing.isFlushing = false
    }

    /// Encodes the bundle that is open. False if the carrier is closed now.
    func sealBundle() -> Bool {
        guard let sharing, sharing.filled > 0 else { return true }
        let count = sharing.filled
        sharing.filled = 0
        return encode(.bundle, count)
    }

    /// Sends bundles and control frames. False if the carrier is closed now.
    func transmitShared() -> Bool {
        // A bundle that is open is not closed before the turn ends, because others may have something to add.
        guard let sharing, sharing.isFlushing || sharing.filled == 0 || !link.isEmpty else { return true }
        var rounds = roundsPerTurn
        while true {
            guard sealBundle() else { return false }
            if !link.isEmpty {
                guard endpoint.writable else { return true }
                guard sendSome() else { return phase != .closed }
                continue
            }
            link.rewind()
            guard encodeDue() else { return false }
            if link.outEnd > 0 { continue }
            sayLateWords()
            guard phase == .shared else { return phase != .closed }
            if !sharing.hungry.isEmpty {
                if rounds > 0 {
                    rounds -= 1
                    feedHungry()
                    guard phase == .shared else { return phase != .closed }
                } else if everythingLeft {
                    shard.again(self)
                    break
                }
            }
            // A full region may hold encoded bundles alone.
            if everythingLeft { break }
        }
        releaseOut()
        return true
    }

    /// Nothing waits to be sent: neither encoded frames nor an open bundle.
    private var everythingLeft: Bool { link.isEmpty && (sharing?.filled ?? 0) == 0 }

    private func feedHungry() {
        guard let sharing else { return }
        // Who has had a piece queues behind those who have not.
        for _ in 0..<sharing.hungry.count {
            guard room(forPayload: RecordHeader.maxData) != nil, let stream = sharing.hungry.popFirst() else { return }
            stream.feed()
        }
    }

    private func sayLateWords() {
        guard let sharing, !sharing.unsaid.isEmpty else { return }
        let unsaid = sharing.unsaid
        sharing.unsaid = []
        for (kind, stream, reason) in unsaid { say(kind, of: stream, reason) }
    }

    /// Nothing is left to do here but to close (client). A server waits for that: an OPEN may be on its way.
    var hasLeftShared: Bool {
        guard side == .client, phase == .shared, isRetiring, let sharing else { return false }
        return sharing.streams.isEmpty && everythingLeft && sharing.unsaid.isEmpty && withdrawing == nil
    }

    // MARK: Receiving

    /// A verified BUNDLE came. False if the carrier is closed now.
    func beginBundle() -> Bool {
        if phase == .shared { return true }
        guard isLegal(.bundle) else {
            violated(.outOfPlace(.bundle))
            return false
        }
        share()
        owner.atServer?.carrierIsShared(self)
        return true
    }

    /// Looks at records of the bundle until it has none left, or this carrier has cost enough in this turn. What came
    /// for one stream is written together. False if the carrier is closed now.
    func receiveRecords() -> Bool {
        guard let region = link.inbound, let sharing else { return true }
        shard.heard(allowance.ticket)
        do throws(WireError) {
            while bundleNext < bundleEnd, phase == .shared, mayCostMore {
                let bytes = UnsafeRawBufferPointer(start: region + bundleNext, count: bundleEnd - bundleNext)
                let header = try RecordHeader(parsing: bytes, at: 0)
                bundleNext += RecordHeader.size + header.length
                let payload = UnsafeRawBufferPointer(
                    rebasing: bytes[RecordHeader.size..<RecordHeader.size + header.length])
                carriedBytes &+= UInt64(header.length)
                allowance.spend(header.kind == .data ? Cost.record : Cost.look, in: shard.turns)
                if let stream = sharing.streams[header.stream] {
                    try stream.receive(header, payload)
                } else {
                    try receiveOther(header, payload)
                }
            }
        } catch {
            violated(.malformed(error))
        }
        writeTouched(sharing)
        return phase != .closed && phase != .departing
    }

    /// Writes what came, before its place in the region is used again.
    private func writeTouched(_ sharing: Sharing) {
        guard !sharing.touched.isEmpty else { return }
        for stream in sharing.touched { stream.writeReceived() }
        sharing.touched.removeAll(keepingCapacity: true)
    }

    /// Something came for `stream`, which writes it when the others' records have been looked at.
    func touch(_ stream: SharedStream) {
        allowance.spend(Cost.call, in: shard.turns)
        sharing?.touched.append(stream)
    }

    /// A stream is asked for.
    func spendOnStream() {
        allowance.spend(Cost.connection, in: shard.turns)
        if shard.hasRivals { allowance.owe(.stream, now: shard.now) }
    }

    /// A record of no stream that is here.
    private func receiveOther(_ header: RecordHeader, _ payload: UnsafeRawBufferPointer) throws(WireError) {
        guard let sharing else { return }
        switch header.kind {
        case .open:
            guard side == .server, header.stream > sharing.highest else { return violated(.recordOutOfPlace(.open)) }
            let message = try OpenMessage(parsing: payload)
            guard message.streamNumber == header.stream else { return violated(.openOfTwoStreams) }
            spendOnStream()
            let stream = SharedStream(message, on: self)
            keep(stream)
            owner.atServer?.carrier(self, opens: message, as: stream)
        case .data, .fin:
            guard !sharing.moved.contains(header.stream) else { return violated(.moreThanCounted) }
            fallthrough
        default:
            guard header.stream <= sharing.highest else { return violated(.neverOpened) }
        }
    }

    // MARK: Ending

    /// Every stream that is here has ended both ways; at most its last bytes are still to be written.
    var hasOnlyLastBytes: Bool { sharing?.streams.values.allSatisfy(\.hasEnded) ?? true }

    /// Were the link to end now, nobody would lose a byte.
    var mayLoseLink: Bool { sharedStreams == 0 || (hasOnlyLastBytes && everythingLeft) }

    /// The carrier is over, and its streams with it, but for those that have everything.
    func endSharing(_ how: CarrierEnd, reopening: Bool = false) {
        guard let sharing else { return }
        var hasEverything = everythingLeft
        var because = StreamFault.carrierClosed
        switch how {
        // The client knows of everything it was sent: it said so, or has no stream any more.
        case .orderly: hasEverything = true
        case .lost(let fault): because = .carrier(fault)
        case .streamBroken: break
        }
        self.sharing = nil
        for stream in sharing.streams.values {
            stream.carrierIsGone(everythingLeft: hasEverything, reopening: reopening, because)
        }
    }
}
