// A stream on a shared carrier. Like a stream on its own carrier it is two pipes that end independently; unlike
// there, back-pressure is its own affair: each direction has a window of bytes that may be on their way, and what
// an application does not take waits here, so that the carrier is always read and no stream waits for another.
//
//   application -> pump:    read straight into the bundle that the carrier is filling
//   link        -> receive: write to the application at once, or keep what it does not take
//
// A stream that turns out to be heavy moves to a carrier of its own (CarrierMoving.swift).
internal import Glibc
internal import Pairing
internal import Wire

/// One stream of a shared carrier. Not thread-safe: it belongs to the carrier's shard.
final class SharedStream: LastingDriver, Dialler, Sleeper, Lingerer {
    /// Unique in the conversation.
    let number: UInt64
    /// What it is called in tables.
    let ticket = Ticket()
    let service: ServiceID
    /// Strong: the circle is broken when the stream is over, because the carrier then forgets it.
    let carrier: Carrier
    /// The application's connection (client) or the target's (server); none while the target is being connected.
    private var app: Endpoint?
    /// The connecting to the target, while it is under way (server only).
    var dial: Dial?
    /// Its place in what the device may have (server only).
    var place: StreamPlace?
    /// Over, or gone to another carrier: nothing may be called any more.
    private(set) var isOver = false

    // The pipe from the application to the link.
    /// OPEN waits for room in a bundle (client).
    private var opening: OpenMessage?
    /// How far it has come. Accesses need no check at run time: it calls nobody.
    @exclusivity(unchecked) private(set) var ledger = StreamLedger()
    /// Bytes since the application was last found to have no more.
    private var run = 0
    /// Waits for the carrier to have room.
    private var isHungry = false
    /// What was read from the application before the other end has said a word of this stream (client).
    private var first: FirstBytes?

    // The pipe from the link to the application.
    private var backlog = Backlog()
    /// What came in the bundle that is being looked at, as long as all of it lies in one place there.
    private var fresh = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Something came in that bundle and was not written yet.
    private var isTouched = false
    /// The other end gave up before the target was connected: it still gets what had come, and a reset.
    private var doomed: StreamFault?

    // Going to a carrier of its own.
    /// The other end has said something of this stream, so that it knows it (client).
    private(set) var isKnownToPeer = false
    /// It is heavy, and that was said.
    private var isHeavy = false
    private var isHeavyDue = false
    /// It is in its role's queue for a carrier of its own (client).
    var isQueued = false
    /// MOVE is said: nothing more is read from the application (client).
    private var isMoving = false
    /// Who takes the stream over once everything that was sent on this carrier has come.
    private var claim: Claim?

    private struct Claim {
        let asker: Ticket
        let progress: StreamProgress
        let completion: (MovingStream?) -> Void
    }

    /// A stream that the application connection `app` asks for, and that begins with `first` (client).
    init(_ message: OpenMessage, for app: Endpoint, beginning first: FirstBytes?, on carrier: Carrier) {
        self.first = first ?? FirstBytes(message, now: carrier.shard.now)
        number = message.streamNumber
        service = message.service
        self.carrier = carrier
        self.app = app
        opening = message
        app.driver = self
        // It has mostly sent something by now.
        app.readable = true
        app.writable = true
    }

    /// A stream that the client asks for (server).
    init(_ message: OpenMessage, on carrier: Carrier) {
        number = message.streamNumber
        service = message.service
        self.carrier = carrier
    }

    private var shard: Shard { carrier.shard }

    // MARK: Connecting to the target (server)

    /// The target is not connected yet.
    var awaitsTarget: Bool { app == nil && !isOver }

    func connected(_ target: Endpoint) {
        target.driver = self
        target.writable = true
        app = target
        if let doomed { return breakOff(doomed) }
        advance()
    }

    // MARK: Going on

    /// Does what can be done now, in both directions.
    func advance() {
        guard !isOver, let app else { return }
        // What a broken connection sent before is read to its end, which says that it broke. Where nothing is read any
        // more, the error is asked for.
        if app.failed, !ledger.hasSentFin, breakLook == nil { watchBreak() }
        if app.failed, ledger.hasSentFin {
            app.failed = false
            let error = app.brokenBy != 0 ? app.brokenBy : app.takeError()
            if error != 0 { return applicationBroke(error) }
        }
        deliver()
        pump()
    }

    /// Says what is due and reads the application, as far as the carrier has room.
    func pump() {
        guard !isOver, !isHungry else { return }
        guard sayWhatIsDue(), sayAgain() else { return beHungry() }
        while let app, app.readable, !ledger.hasSentFin, !isMoving {
            let allowance = ledger.window
            guard allowance > 0 else { return wantOwnCarrier() }
            let wanted = Int(min(allowance, UInt64(RecordHeader.maxData)))
            guard let place = carrier.room(forPayload: wanted) else { return beHungry() }
            switch app.read(place + RecordHeader.size, wanted) {
            case .moved(let count):
                if let first, !first.keep(place + RecordHeader.size, count) { self.first = nil }
                sent(count, at: place)
                guard app.readable else {
                    run = 0
                    return
                }
                guard count == wanted else { continue }
                run += count
                if run >= Int(RecordHeader.window) { wantOwnCarrier() }
                // The others first.
                return beHungry()
            case .ended:
                ledger.applicationEnded()
                guard sayFin() else { return beHungry() }
                return finishIfOver()
            case .blocked:
                run = 0
                return
            case .failed(let error): return applicationBroke(error)
            }
        }
    }

    private func sent(_ count: Int, at place: UnsafeMutableRawPointer) {
        carrier.add(RecordHeader(kind: .data, length: count, stream: number), at: place)
        ledger.send(count)
        shard.counters.bytesOut &+= UInt64(count)
    }

    /// Says what an earlier carrier took in vain. It is no more than a window. False if there is no room for all of it.
    private func sayAgain() -> Bool {
        guard let first else { return true }
        while first.unsaid > 0 {
            let count = min(first.unsaid, RecordHeader.maxData)
            guard let place = carrier.room(forPayload: count) else { return false }
            first.say(count, to: place + RecordHeader.size)
            sent(count, at: place)
        }
        if first.isTaken { self.first = nil }
        return true
    }

    /// The server has taken the stream: what was kept is needed no longer than until it has gone out.
    private func wasTaken() {
        first?.isTaken = true
        if first?.unsaid == 0 { first = nil }
    }

    /// False if the carrier has no room for something that is due.
    private func sayWhatIsDue() -> Bool {
        if let message = opening {
            guard carrier.mayOpen(number), let place = carrier.room(forPayload: message.encodedCount) else {
                return false
            }
            message.write(to: place + RecordHeader.size)
            carrier.add(RecordHeader(kind: .open, length: message.encodedCount, stream: number), at: place)
            opening = nil
            carrier.hasOpened(number)
        }
        return sayCredit() && sayHeavy() && sayFin()
    }

    private func sayCredit() -> Bool {
        guard ledger.isCreditDue else { return true }
        guard let place = carrier.room(forPayload: CreditMessage.size) else { return false }
        CreditMessage(total: ledger.passedOn).write(to: place + RecordHeader.size)
        carrier.add(RecordHeader(kind: .credit, length: CreditMessage.size, stream: number), at: place)
        ledger.creditSent()
        return true
    }

    private func sayHeavy() -> Bool {
        guard isHeavyDue else { return true }
        guard let place = carrier.room(forPayload: 0) else { return false }
        carrier.add(RecordHeader(kind: .heavy, length: 0, stream: number), at: place)
        isHeavyDue = false
        return true
    }

    private func sayFin() -> Bool {
        guard ledger.outgoing == .finDue, !isMoving else { return true }
        guard let place = carrier.room(forPayload: FinMessage.size) else { return false }
        FinMessage(total: ledger.sent).write(to: place + RecordHeader.size)
        carrier.add(RecordHeader(kind: .fin, length: FinMessage.size, stream: number), at: place)
        ledger.finSent()
        return true
    }

    private func beHungry() {
        isHungry = true
        carrier.feed(self)
    }

    /// The carrier has room again.
    func feed() {
        isHungry = false
        pump()
        finishIfOver()
    }

    // MARK: What comes

    /// A verified record of this stream other than OPEN. Throws what the peer must not say.
    func receive(_ header: RecordHeader, _ payload: UnsafeRawBufferPointer) throws(WireError) {
        if !isKnownToPeer {
            isKnownToPeer = true
            if header.kind != .refused { wasTaken() }
        }
        guard FrameRules.allows(header.kind, at: carrier.side) else {
            return carrier.violated(.recordOutOfPlace(header.kind))
        }
        switch header.kind {
        case .data: judge { () throws(PeerFault) in try receive(payload) }
        case .fin:
            let message = try FinMessage(parsing: payload)
            judge { () throws(PeerFault) in try receive(message) }
        case .credit:
            let message = try CreditMessage(parsing: payload)
            judge { () throws(PeerFault) in try ledger.acknowledge(message.total) }
            pump()
        case .heavy: wantOwnCarrier()
        case .abort, .refused: receive(header.kind, try ReasonMessage(parsing: payload))
        case .open: break
        }
        if isHeavy, !isMoving, !isOver, carrier.side == .client { carrier.owner.atClient?.streamIsHeavy(self) }
    }

    /// A step in which the peer can break a rule.
    private func judge(_ step: () throws(PeerFault) -> Void) {
        do throws(PeerFault) {
            try step()
        } catch {
            carrier.violated(error)
        }
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) throws(PeerFault) {
        try ledger.receiveShared(bytes.count)
        shard.counters.bytesIn &+= UInt64(bytes.count)
        if let claim, ledger.received > claim.progress.total { throw .moreThanCounted }
        guard app?.brokenBy ?? 0 == 0, doomed == nil else { return }
        if !isTouched {
            isTouched = true
            fresh = bytes
            carrier.touch(self)
            return
        }
        if bytes.count < RecordHeader.maxData / 16 { carrier.allowance.owe(.crumb, now: shard.now) }
        if let end = fresh.baseAddress.map({ $0 + fresh.count }), end + RecordHeader.size == bytes.baseAddress {
            // A record right behind this stream's last one: its header is not needed any more.
            memmove(UnsafeMutableRawPointer(mutating: end), bytes.baseAddress!, bytes.count)
            fresh = UnsafeRawBufferPointer(start: fresh.baseAddress, count: fresh.count + bytes.count)
        } else {
            keepFresh()
            keep(bytes)
        }
    }

    /// The other records of the bundle have been looked at: writes what came for this stream.
    func writeReceived() {
        guard isTouched else { return }
        isTouched = false
        if !isOver, backlog.isEmpty, !fresh.isEmpty, let app, app.writable {
            switch app.send(fresh.baseAddress!, fresh.count) {
            case .moved(let count):
                ledger.passOn(count)
                fresh = UnsafeRawBufferPointer(rebasing: fresh[count...])
            case .blocked, .ended: break
            case .failed(let error): cannotWrite(error)
            }
        }
        keepFresh()
        guard !isOver else { return }
        deliver()
        if ledger.hasPassedOnMuch { pump() }
        settleClaim()
    }

    /// What came and was not written outlives the bundle.
    private func keepFresh() {
        let rest = fresh
        fresh = UnsafeRawBufferPointer(start: nil, count: 0)
        if !rest.isEmpty { keep(rest) }
    }

    private func keep(_ bytes: UnsafeRawBufferPointer) {
        guard !isOver, app?.brokenBy ?? 0 == 0 else { return }
        guard place?.holds(backlog.size(with: bytes.count)) ?? true else { return overflowed() }
        guard backlog.append(bytes.baseAddress!, bytes.count) else {
            return abort(.outOfMemory)
        }
    }

    /// The application takes nothing any more; what it sent before a break is still read.
    private func cannotWrite(_ error: Int32) {
        backlog = Backlog()
        place?.holds(0)
        ledger.outgoing != .open ? applicationBroke(error) : pump()
    }

    private func receive(_ message: FinMessage) throws(PeerFault) {
        try ledger.receiveFin(message.total)
        writeReceived()
        settleClaim()
        deliver()
    }

    private func receive(_ kind: RecordKind, _ message: ReasonMessage) {
        if kind == .refused, let why = GivenBack(message.reason), giveBack(why) { return }
        let why = StreamFault.given(message.reason)
        if kind == .refused { carrier.owner.atClient?.carrier(carrier, wasRefused: service, message.reason) }
        writeReceived()
        // Directly connected, the target would still get what was sent before.
        if carrier.side == .server, awaitsTarget, !backlog.isEmpty { doomed = why } else { breakOff(why) }
    }

    /// The server has said nothing of the stream, and all that was read from its application is kept (client).
    var canBeginAnew: Bool { first?.isTaken == false && !isMoving && !isOver && app?.brokenBy == 0 }

    /// The server has not taken the stream: its role opens it again. False if that cannot be.
    func giveBack(_ why: GivenBack) -> Bool {
        guard canBeginAnew, let first = first.take(), let app else { return false }
        self.app = nil
        app.driver = nil
        first.didNotBegin(why)
        carrier.owner.atClient?.carrier(carrier, givesBack: app, first, why)
        leave()
        return true
    }

    /// Writes what waits, and passes the end on behind it.
    private func deliver() {
        while !isOver, !backlog.isEmpty, let app, app.writable {
            switch app.send(backlog.first, backlog.count) {
            case .moved(let count):
                backlog.removeFirst(count)
                if backlog.isEmpty { place?.holds(0) }
                ledger.passOn(count)
            case .blocked, .ended: return
            case .failed(let error): return cannotWrite(error)
            }
        }
        guard !isOver, ledger.incoming == .ended, backlog.isEmpty, let app, app.brokenBy == 0 else { return }
        ledger.passOnEnd()
        // If the other direction has ended before, the socket is closed now, which says FIN too.
        if !ledger.hasSentFin { app.shutdownWrite() }
        finishIfOver()
    }

    // MARK: Ending

    /// Both directions have ended; the application may still have to take the last bytes.
    var hasEnded: Bool { ledger.hasEnded }

    /// The peer has no such stream any more: both directions have ended, or it gave up before the target was connected.
    var hasEndedAtPeer: Bool { hasEnded || doomed != nil }

    /// The stream is over when both directions have ended, unless somebody is about to take it over.
    private func finishIfOver() {
        guard !isOver, ledger.isDone, !isMoving, claim == nil else { return }
        app?.close()
        leave()
    }

    /// The target cannot be had (server): says why.
    func refuse(_ reason: CloseReason) {
        guard !isOver else { return }
        if let doomed { return breakOff(doomed) }
        carrier.say(.refused, of: number, reason)
        breakOff(.refused(reason))
    }

    /// Ends the stream abnormally; the far application sees a reset.
    func abort(_ fault: StreamFault) {
        guard !isOver else { return }
        // The server has not heard of a stream whose OPEN never left.
        if opening == nil { carrier.say(.abort, of: number, fault.reason) }
        breakOff(fault)
    }

    private func applicationBroke(_ error: Int32) {
        abort(carrier.side == .client ? .application(error) : .target(error))
    }

    /// Resets the application's connection once it has what came for it: not every byte has arrived or left.
    private func breakOff(_ why: StreamFault) {
        guard !isOver else { return }
        keepFresh()
        if let app {
            var bytes = Backlog()
            swap(&bytes, &backlog)
            Farewell.say(to: app, bytes, of: place, on: shard)
        }
        shard.counters.brokenStreams += 1
        shard.emit(.streamBroken(service, why))
        leave()
    }

    /// The carrier broke. A stream whose every byte has arrived here, and left, still gets its last bytes written.
    /// `reopening`: one of which the server has said nothing may begin anew.
    func carrierIsGone(everythingLeft: Bool, reopening: Bool, _ why: StreamFault) {
        if reopening, canBeginAnew, let app, let first = first.take() {
            self.app = nil
            app.driver = nil
            first.didNotBegin(.withdrawn)
            // Its OPEN may still be here.
            if opening != nil {
                carrier.owner.atClient?.carrier(carrier, givesBack: app, first, .withdrawn)
            } else {
                carrier.owner.atClient?.carrier(carrier, loses: app, first)
            }
            return leave()
        }
        guard everythingLeft, hasEnded, let app, !isMoving, claim == nil else { return breakOff(why) }
        carrier.forget(self)
        isOutliving = true
        shard.keep(self)
        // No event may come any more that would say so.
        app.writable = true
        shard.again(self)
    }

    /// The application had its time to take the last bytes.
    func cut() { breakOff(.drainTimeout) }

    /// It has outlived its carrier.
    private var isOutliving = false
    var isDueAgain = false

    private func leave() {
        isOver = true
        breakLook?.cancel()
        breakLook = nil
        if opening != nil { carrier.hasOpened(number) }
        app = nil
        first = nil
        dial?.cancel()
        dial = nil
        backlog = Backlog()
        place = nil
        shard.counters.streamsOpen -= 1
        if isOutliving { shard.forget(self) } else { carrier.forget(self) }
        if let claim {
            self.claim = nil
            claim.completion(nil)
        }
    }

    /// The carrier's heartbeat: TCP options that were put off are due, and a broken application's stream is given up
    /// when nothing more of it has left for a while.
    func look(_ now: Nanoseconds) {
        guard let app, !isOver else { return }
        app.tuneNow()
        if first?.isSettled(now: now, carrier) == true { wasTaken() }
    }

    /// The application's connection broke, and what it sent before is still being read: looks at whether that goes on.
    private func watchBreak() {
        sentWhenLookedAt = ledger.sent
        breakLook = shard.arm(self, after: carrier.link.endpoint.patience / 2)
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        breakLook = nil
        guard !isOver, let app, app.failed || app.brokenBy != 0 else { return }
        // A stream that moves is looked at by the carrier that it moves to.
        guard ledger.sent == sentWhenLookedAt, !isMoving, claim == nil else { return watchBreak() }
        applicationBroke(app.brokenBy != 0 ? app.brokenBy : app.takeError())
    }

    private var breakLook: Timer?
    private var sentWhenLookedAt: UInt64 = 0

    // MARK: Moving to a carrier of its own

    private func wantOwnCarrier() {
        guard !isHeavy, !isMoving else { return }
        isHeavy = true
        switch carrier.side {
        case .client: carrier.owner.atClient?.streamIsHeavy(self)
        case .server:
            isHeavyDue = true
            if !sayHeavy() { beHungry() }
        }
    }

    /// Whether MOVE may be said now (client): the server knows the stream, and it has not ended.
    var mayMove: Bool { !isOver && !isMoving && isKnownToPeer && !hasEnded && first == nil }

    /// MOVE is said with what this returns (client).
    func beginMove() -> MoveMessage {
        isMoving = true
        return MoveMessage(stream: number, progress: ledger.progress)
    }

    /// The server said STAYS: the stream goes on here, if it does.
    func stay() {
        isMoving = false
        advance()
        finishIfOver()
    }

    /// Gives the stream to `asker` once everything that the other end sent on this carrier has come; `completion` gets
    /// nil if the stream ends before.
    func handOver(
        at progress: StreamProgress, to asker: Ticket, _ completion: @escaping (MovingStream?) -> Void
    ) {
        guard !isOver, claim == nil, app != nil else { return completion(nil) }
        claim = Claim(asker: asker, progress: progress, completion: completion)
        guard ledger.received <= progress.total else { return carrier.violated(.moreThanCounted) }
        settleClaim()
    }

    /// `asker` is no more: a stream that was promised to it is reset.
    func withdraw(_ asker: Ticket) {
        guard claim?.asker == asker else { return }
        claim = nil
        abort(.moveBroke)
    }

    private func settleClaim() {
        guard let claim, !isOver, !isTouched else { return }
        guard ledger.hasReceived(claim.progress), let app else { return }
        app.tuneNow()
        self.claim = nil
        let stream = MovingStream(
            app.detach(resetting: true), of: carrier.peer.conversation, number: number, service: service,
            ledger: StreamLedger(
                sent: ledger.progress, received: claim.progress, isEndPassedOn: ledger.hasPassedOnEnd),
            backlog: &backlog)
        stream.place = place.take()
        carrier.sharing?.moved.add(number)
        leave()
        claim.completion(stream)
    }
}
