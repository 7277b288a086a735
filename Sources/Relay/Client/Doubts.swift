// When a carrier should have been heard and was not. The way to the server may have forgotten its connection (a NAT, a
// firewall, a new address, a host without power), and nothing says so.
//
//   1. whoever opens a stream expects a word; a carrier that was quiet before is asked with PING in front of OPEN
//   2. nothing heard within some of the link's own round trips: the carrier is suspect, and so is every other that has
//      been quiet since; new streams go to a fresh one at once
//   3. what became of streams on a suspect or broken carrier is asked on another (CarrierWithdrawing.swift); those that
//      have not begun begin anew there
//   4. a suspect carrier that is heard is one like others again; one without a stream is closed
internal import Pairing
internal import Settings
internal import Wire

/// Who has to act on what was found out.
protocol DoubtsOwner: AnyObject {
    /// The stream of `application` has not begun and never will: it begins anew.
    func serve(_ application: Application)
    /// What became of the stream of `application` will not be known, or is known: it is reset.
    func giveUp(_ application: Application, _ why: StreamFault)
    /// Somebody has to be asked, for which a further carrier may be needed.
    func refill()
    /// `carrier`, which is suspect, was heard, and what was sent there has arrived by now.
    func carrierIsHeard(_ carrier: Carrier)
    /// `carrier` has answered, and can take a stream.
    func carrierIsIdle(_ carrier: Carrier)
    /// There may be nothing in doubt any more.
    func doubtsAreSettled()
}

/// What one loop of a client is in doubt about. Not thread-safe.
final class Doubts: Sleeper {
    /// A stream that was opened so often in vain is given up.
    static let mostLosses = 16
    /// A shorter sleep changes nothing.
    static let sleep: Nanoseconds = 1_000_000_000

    private let carriers: UpstreamCarriers
    private let shared: ClientShared
    private let shard: Shard
    private unowned let owner: any DoubtsOwner
    var expectations = Expectations()
    private var timer: Timer?
    private(set) var openings = Openings()
    /// How long the machine had slept when that was last asked.
    private var timeAsleep: Nanoseconds?

    init(_ carriers: UpstreamCarriers, _ shared: ClientShared, on shard: Shard, for owner: any DoubtsOwner) {
        self.carriers = carriers
        self.shared = shared
        self.shard = shard
        self.owner = owner
    }

    // MARK: Expecting a word

    /// A stream is about to be opened on `carrier`, or a question asked: something should be heard soon.
    func expectWord(of carrier: Carrier) {
        let isAsked = !Silence.isShort(of: carrier, now: shard.now)
        if isAsked { carrier.due.insert(.ping) }
        guard carrier.trust.expectWord(now: shard.now, asking: isAsked) else { return }
        if expectations.add(carrier.ticket, now: shard.now) { arm() }
    }

    private func arm() {
        guard let next = expectations.nextLook(now: shard.now, or: openings.nextDeadline) else { return }
        timer?.cancel()
        timer = shard.arm(self, after: next &- shard.now)
    }

    /// Looks at those that should have been heard by now.
    func wake(_ timer: Timer, now: Nanoseconds) {
        self.timer = nil
        guard let due = expectations.due(now: now) else { return arm() }
        for expectation in due { look(at: expectation, now) }
        while let application = openings.nextOverdue(now: now) {
            owner.giveUp(application, .noAnswer)
        }
        owner.doubtsAreSettled()
        arm()
    }

    private func look(at expectation: ExpectedWord, _ now: Nanoseconds) {
        guard let carrier = carriers.all[expectation.carrier] else { return }
        switch carrier.phase {
        // Nothing is decoded there any more.
        case .departing, .leaving, .closed: return carrier.trust.endWatch()
        default: guard !carrier.linkIsGone else { return carrier.trust.endWatch() }
        }
        if carrier.lastHeard > expectation.since, !Silence.isRepeating(carrier) { return wasHeard(carrier, now) }
        switch Silence(of: carrier, since: expectation.since, now: now) {
        case .fine: carrier.trust.endWatch()
        case .early: expectations.lookAgain(at: carrier.ticket, since: expectation.since)
        case .unasked:
            carrier.trust.ask()
            expectations.lookAgain(at: carrier.ticket, since: now)
            ping(carrier)
        case .silent: isSilent(carrier, since: expectation.since)
        }
    }

    private func ping(_ carrier: Carrier) {
        carrier.due.insert(.ping)
        carrier.phase == .shared ? carrier.flushSoon() : carrier.advance()
    }

    /// Something came. It may have come before what was sent last, and not be the answer that is waited for.
    private func wasHeard(_ carrier: Carrier, _ now: Nanoseconds) {
        carrier.trust.heardWhileWatched()
        if let question = carrier.withdrawing, now &- min(question.since, now) >= carrier.timings.deadAfter {
            return carrier.lost(.local(.noAnswer))
        }
        // When it was heard, something that was sent there had not arrived yet. By now it has.
        if carrier.trust.isSuspect { owner.carrierIsHeard(carrier) }
        let expected = carrier.trust.expectedSince ?? 0
        guard expected > carrier.lastHeard || carrier.withdrawing != nil else { return carrier.trust.endWatch() }
        expectations.lookAgain(at: carrier.ticket, since: max(expected, carrier.lastHeard))
    }

    // MARK: Suspects

    /// `carrier` was not heard.
    private func isSilent(_ carrier: Carrier, since: Nanoseconds) {
        let silence = shard.now &- min(carrier.lastHeard, shard.now)
        shard.emit(.carrierSilent(.nanoseconds(silence)))
        let isNew = !carrier.trust.isSuspect
        carrier.trust.wasSilent()
        carriers.setAside(carrier)
        noteOpenings(of: carrier)
        openings.askElsewhere(than: carrier)
        if carrier.phase == .idle || carrier.phase == .finishing || (carrier.phase == .shared && !carrier.hasStream) {
            carrier.end(.lost(.link(.unanswered(silence))))
        }
        if isNew {
            // They went the same way, and have been quiet for longer.
            for other in carriers.pool.all where other.lastHeard <= since { suspect(other) }
            if let trunk = carriers.trunk, trunk.lastHeard <= since { suspect(trunk) }
        }
        seekAnswers()
    }

    /// Nothing new goes to `carrier` before it has answered.
    func suspect(_ carrier: Carrier) {
        guard !carrier.trust.isSuspect else { return }
        carriers.setAside(carrier)
        if carrier.trust.suspect(now: shard.now) {
            expectations.lookAgain(at: carrier.ticket, since: shard.now)
            arm()
        }
        ping(carrier)
    }

    /// Something was heard on `carrier`, which is suspect. Whether it is trusted again.
    func isHeard(_ carrier: Carrier) -> Bool {
        // It may have been sent long ago. What is sent here must arrive as well; whether it does is looked at soon.
        guard !Silence.isRepeating(carrier) else {
            let since = carrier.lastHeard &- 1
            if carrier.trust.watchAgain(since: since) {
                expectations.lookAgain(at: carrier.ticket, since: since)
                arm()
            }
            return false
        }
        carrier.trust.wasHeard()
        for number in openings.numbers(on: carrier) where openings.isUnasked(number) { settle(number) }
        return true
    }

    /// If the machine has slept since this was last called, nothing is known of any carrier.
    func noticeSleep() {
        let asleep = shard.timeAsleep()
        defer { timeAsleep = asleep }
        guard asleep &- min(timeAsleep ?? asleep, asleep) >= Self.sleep else { return }
        for carrier in Array(carriers.all.values) {
            switch carrier.phase {
            case .idle, .shared, .streaming: suspect(carrier)
            default: break
            }
        }
    }

    // MARK: Streams in doubt

    private func noteOpenings(of carrier: Carrier) {
        guard carrier.belongs(to: shared.conversation) else { return }
        forgetUnanswerable()
        for number in carrier.openings {
            openings.note(number, on: carrier)
            carrier.first?.isInDoubt = true
        }
    }

    /// The stream `number` goes on where it is.
    private func settle(_ number: UInt64) {
        guard case .on(let carrier) = openings.settle(number), let first = carrier.first else { return }
        first.isInDoubt = false
        shard.again(carrier)
    }

    /// The carrier of the stream `number`, of conversation `id`, has ended, and nobody knows whether the stream has
    /// begun: its application waits until that is known, or for as long as others wait for a carrier.
    func hold(_ number: UInt64, _ application: Application, of id: ConversationID) {
        if openings.conversation != id { forgetUnanswerable() }
        let deadline = shard.now &+ shared.settings.waiting.atMost.nanoseconds
        openings.hold(number, application, of: id, until: deadline)
    }

    /// Asks on a carrier that has been heard, or wants one.
    func seekAnswers() {
        openings.hasNew = false
        forgetUnanswerable()
        arm()
        if let trunk = carriers.trunk, Silence.isShort(of: trunk, now: shard.now) { askAbout(trunk) }
        for carrier in carriers.pool.all
        where !openings.unasked.isEmpty && Silence.isShort(of: carrier, now: shard.now) {
            askAbout(carrier)
        }
        owner.refill()
    }

    /// Asks on `carrier` about streams of other carriers, if there are any in doubt.
    func askAbout(_ carrier: Carrier) {
        guard !openings.unasked.isEmpty, carrier.mayWithdraw else { return }
        let numbers = openings.ask(on: carrier)
        guard !numbers.isEmpty else { return }
        expectWord(of: carrier)
        carrier.withdraw(numbers)
    }

    /// Asked on `carrier` about the streams `numbers`, the server says that `begun` alone have begun.
    func isAnswered(on carrier: Carrier, about numbers: [UInt64], begun: [UInt64]) {
        openings.answered(on: carrier)
        for number in numbers {
            guard begun.contains(number) else {
                switch openings.settle(number) {
                case .on(let other): _ = other.takeBack(number)
                case .held(let application): owner.serve(application)
                case nil: break
                }
                continue
            }
            if case .held(let application) = openings.all[number] {
                owner.giveUp(application, .linkBrokeAfterBeginning)
            }
            settle(number)
        }
        askAbout(carrier)
        if carrier.phase == .idle, carrier.withdrawing == nil, !carriers.pool.has(carrier) {
            owner.carrierIsIdle(carrier)
        }
        owner.doubtsAreSettled()
    }

    /// `carrier` leaves this loop: what it asked is asked elsewhere, and what was on it is in its owner's hands by now.
    func forget(_ carrier: Carrier) { openings.forget(carrier) }

    /// `carrier` has ended. Other than `forget`, it may leave streams in doubt.
    func hasEnded(_ carrier: Carrier) {
        openings.forget(carrier)
        if openings.hasNew { seekAnswers() }
    }

    /// What became of a conversation's streams can be asked in that conversation only.
    func forgetUnanswerable() {
        guard !openings.isEmpty else { return }
        let present = shared.hasConversation(at: shard.moment) ? shared.conversation : nil
        if openings.conversation != present { giveUpAll(.conversationOver) }
    }

    /// No answer will come any more: applications without a carrier are reset.
    func giveUpAll(_ why: StreamFault) {
        guard !openings.isEmpty else { return }
        for (number, opening) in openings.all {
            if case .held(let application) = opening { owner.giveUp(application, why) }
            settle(number)
        }
        owner.doubtsAreSettled()
    }
}
