// When a carrier should have been heard and was not. The way to the server may have forgotten its connection (a NAT, a
// firewall, a new address, a host without power), and nothing says so.
//
//   1. whoever opens a stream expects a word; a carrier that was quiet before is asked with PING in front of OPEN
//   2. nothing heard within some of the link's own round trips: the carrier is suspect, and so is every other that has
//      been quiet since; new streams go to a fresh one at once
//   3. what became of streams on a suspect or broken carrier is asked on another (CarrierWithdrawing.swift); those that
//      have not begun begin anew there
//   4. a suspect carrier that is heard is one like others again; one without a stream is closed
internal import CLinux
internal import DequeModule
internal import Pairing
internal import Settings
internal import Wire

/// What one loop of a client is in doubt about. Not thread-safe.
struct Doubts {
    /// A carrier that should be heard.
    struct Expectation {
        let carrier: Ticket
        /// Nothing heard since then.
        let since: Nanoseconds
    }
    /// In the order in which they began to be expected.
    var expected: Deque<Expectation> = []
    /// Looked at once already, and to be looked at again soon.
    var overdue: [Expectation] = []
    private(set) var timer: Timer?
    private var firesAt: Nanoseconds = 0
    /// The loop itself was late, so that what came may not have been read yet.
    private var wasLate = false

    /// A stream of which it is not known whether the server has begun it.
    enum Opening {
        /// It is on this carrier, which is suspect.
        case on(Carrier)
        /// Its carrier has ended, and its application waits.
        case held(Application)
    }
    /// By stream number: all of one conversation.
    private(set) var openings: [UInt64: Opening] = [:]
    private(set) var conversation: ConversationID?
    /// Those of them that are not asked about yet.
    private(set) var unasked: Set<UInt64> = []
    /// Those that are on each suspect carrier.
    private var numbers: [Ticket: [UInt64]] = [:]
    /// Application connections that wait without a carrier, and until when.
    private(set) var heldCount = 0
    private var deadlines: Deque<(number: UInt64, at: Nanoseconds)> = []
    /// Some were added since somebody last looked for a carrier to ask on.
    var hasNew = false
    /// What each carrier asks about.
    private var asked: [Ticket: [UInt64]] = [:]

    /// How long the machine had slept when that was last asked.
    var timeAsleep: Nanoseconds?

    /// A carrier that was heard so recently is not asked when a stream opens.
    static let quiet: Nanoseconds = 1_000_000_000
    /// How long nothing must be heard at least, and how long at most.
    static let shortest: Nanoseconds = 600_000_000
    static let longest: Nanoseconds = 3_000_000_000
    /// A stream that was opened so often in vain is given up.
    static let mostLosses = 16
    /// Between two looks at the same carrier.
    static let step: Nanoseconds = 200_000_000
    /// A shorter sleep changes nothing.
    static let sleep: Nanoseconds = 1_000_000_000

    /// When `timer` has to fire next; nil if there is nothing to wait for.
    private func next(now: Nanoseconds) -> Nanoseconds? {
        var next: Nanoseconds? = overdue.isEmpty ? nil : now &+ Self.step
        if let first = expected.first { next = min(next ?? .max, first.since &+ Self.shortest) }
        if let first = deadlines.first { next = min(next ?? .max, first.at) }
        return next
    }

    /// Arms the timer, for `sleeper`, unless it fires early enough.
    mutating func arm(_ sleeper: any Sleeper, on shard: Shard) {
        guard let next = next(now: shard.now) else { return }
        if let timer {
            guard next < firesAt else { return }
            timer.cancel()
        }
        firesAt = max(next, shard.now &+ 1_000_000)
        timer = shard.arm(sleeper, after: firesAt &- shard.now)
    }

    /// The timer fired. False if the loop was late, and should first read what has come.
    mutating func fired(now: Nanoseconds) -> Bool {
        timer = nil
        wasLate = !wasLate && now &- firesAt >= Self.step
        return !wasLate
    }

    /// The stream `number` on `carrier` may not have begun.
    mutating func note(_ number: UInt64, on carrier: Carrier) {
        guard openings[number] == nil else { return }
        conversation = carrier.peer.conversation
        openings[number] = .on(carrier)
        numbers[carrier.ticket, default: []].append(number)
        unasked.insert(number)
        hasNew = true
    }

    /// The carrier of the stream `number` has ended, and `application` waits until `deadline`.
    mutating func hold(
        _ number: UInt64, _ application: Application, of conversation: ConversationID, until deadline: Nanoseconds
    ) {
        self.conversation = conversation
        // One that is being asked about is not asked about again.
        if openings.updateValue(.held(application), forKey: number) == nil { unasked.insert(number) }
        heldCount += 1
        deadlines.append((number, deadline))
        hasNew = true
    }

    /// Nothing is in doubt about the stream `number` any more.
    mutating func settle(_ number: UInt64) -> Opening? {
        unasked.remove(number)
        let opening = openings.removeValue(forKey: number)
        if case .held = opening {
            heldCount -= 1
            if heldCount == 0 { deadlines.removeAll() }
        }
        return opening
    }

    /// The streams on `carrier` that are in doubt.
    mutating func numbers(on carrier: Carrier) -> [UInt64] {
        let present = (numbers[carrier.ticket] ?? []).filter {
            if case .on(let other) = openings[$0] { other === carrier } else { false }
        }
        numbers[carrier.ticket] = present.isEmpty ? nil : present
        return present
    }

    /// The same; the carrier is gone.
    mutating func forget(_ carrier: Carrier) -> [UInt64] {
        defer { numbers[carrier.ticket] = nil }
        return numbers(on: carrier)
    }

    /// Whether the stream `number` is still to be asked about.
    func isUnasked(_ number: UInt64) -> Bool { unasked.contains(number) }

    /// The number of an application whose deadline has passed.
    mutating func overdueNumber(_ now: Nanoseconds) -> UInt64? {
        while let first = deadlines.first, first.at <= now {
            deadlines.removeFirst()
            if case .held = openings[first.number] { return first.number }
        }
        return nil
    }

    /// Up to a message's worth of streams to ask about on `carrier`.
    mutating func ask(on carrier: Carrier) -> [UInt64] {
        guard carrier.belongs(to: conversation) else { return [] }
        let chosen = unasked.prefix(StreamNumbersMessage.most).sorted()
        guard !chosen.isEmpty else { return [] }
        unasked.subtract(chosen)
        asked[carrier.ticket] = chosen
        return chosen
    }

    /// `carrier` has answered.
    mutating func answered(on carrier: Carrier) { asked[carrier.ticket] = nil }

    /// `carrier` will not answer, or nobody waits for it: what it asks about is asked elsewhere.
    mutating func askElsewhere(than carrier: Carrier) {
        guard let numbers = asked.removeValue(forKey: carrier.ticket) else { return }
        for number in numbers where openings[number] != nil { unasked.insert(number) }
        hasNew = true
    }
}

extension ClientRole {
    // MARK: Expecting a word

    /// A stream is about to be opened on `carrier`, or a question asked: something should be heard soon.
    func expectWord(of carrier: Carrier) {
        if !carrier.wasHeardLately {
            carrier.due.insert(.ping)
            carrier.isAsked = true
        }
        carrier.expectedAt = shard.now
        guard !carrier.isWatched else { return }
        carrier.isWatched = true
        doubts.expected.append(Doubts.Expectation(carrier: carrier.ticket, since: shard.now))
        if doubts.expected.count == 1 { armDoubts() }
    }

    private func armDoubts() { doubts.arm(self, on: shard) }

    /// Looks at those that should have been heard by now.
    func lookAtDoubts(_ now: Nanoseconds) {
        guard doubts.fired(now: now) else { return armLate() }
        let overdue = doubts.overdue
        doubts.overdue = []
        for expectation in overdue { look(at: expectation, now) }
        while let first = doubts.expected.first, now &- first.since >= Doubts.shortest {
            doubts.expected.removeFirst()
            look(at: first, now)
        }
        turnAwayOverdue(now)
        armDoubts()
    }

    private func look(at expectation: Doubts.Expectation, _ now: Nanoseconds) {
        guard let carrier = carriers[expectation.carrier] else { return }
        switch carrier.phase {
        // Nothing is decoded there any more.
        case .departing, .leaving, .closed:
            carrier.isWatched = false
            return
        default:
            guard !carrier.linkIsGone else {
                carrier.isWatched = false
                return
            }
        }
        if carrier.lastHeard > expectation.since, !carrier.isRepeating { return wasHeard(carrier, now) }
        switch carrier.judgeSilence(since: expectation.since, now) {
        case .fine: carrier.isWatched = false
        case .early: doubts.overdue.append(expectation)
        case .unasked:
            carrier.due.insert(.ping)
            carrier.isAsked = true
            doubts.overdue.append(Doubts.Expectation(carrier: carrier.ticket, since: now))
            carrier.phase == .shared ? carrier.flushSoon() : carrier.advance()
        case .silent:
            carrier.isWatched = false
            carrier.isAsked = false
            isSilent(carrier, since: expectation.since)
        }
    }

    /// Something came. It may have come before what was said last, and not be the answer that is waited for.
    private func wasHeard(_ carrier: Carrier, _ now: Nanoseconds) {
        carrier.isAsked = false
        if let question = carrier.withdrawing, now &- min(question.since, now) >= timings.deadAfter {
            return carrier.lost("no answer to WITHDRAW")
        }
        guard carrier.expectedAt > carrier.lastHeard || carrier.withdrawing != nil else {
            carrier.isWatched = false
            return
        }
        let since = max(carrier.expectedAt, carrier.lastHeard)
        doubts.overdue.append(Doubts.Expectation(carrier: carrier.ticket, since: since))
    }

    // MARK: Suspects

    /// `carrier` was not heard.
    private func isSilent(_ carrier: Carrier, since: Nanoseconds) {
        shard.emit(.carrierSilent(.nanoseconds(shard.now &- min(carrier.lastHeard, shard.now))))
        let isNew = !carrier.isSuspect
        carrier.isSuspect = true
        setAside(carrier)
        noteOpenings(of: carrier)
        doubts.askElsewhere(than: carrier)
        if carrier.phase == .idle || carrier.phase == .finishing || (carrier.phase == .shared && !carrier.hasStream) {
            let silence = inWords(.nanoseconds(shard.now &- min(carrier.lastHeard, shard.now)))
            carrier.end(.lost("nothing heard for \(silence), and no answer when asked"))
        }
        if isNew {
            // They went the same way, and have been quiet for longer.
            for other in pool.all where other.lastHeard <= since { suspect(other) }
            if let trunk, trunk.lastHeard <= since { suspect(trunk) }
        }
        seekAnswers()
    }

    /// Nothing new goes to `carrier` before it has answered.
    func suspect(_ carrier: Carrier) {
        guard !carrier.isSuspect else { return }
        carrier.isSuspect = true
        setAside(carrier)
        carrier.due.insert(.ping)
        carrier.isAsked = true
        if !carrier.isWatched {
            carrier.isWatched = true
            doubts.overdue.append(Doubts.Expectation(carrier: carrier.ticket, since: shard.now))
            armDoubts()
        }
        carrier.phase == .shared ? carrier.flushSoon() : carrier.advance()
    }

    private func setAside(_ carrier: Carrier) {
        pool.remove(carrier)
        guard carrier === trunk else { return }
        trunk = nil
        formerTrunks.append(carrier)
    }

    func carrierIsHeard(_ carrier: Carrier) {
        // It may have been said long ago. What is said here must arrive as well.
        guard !carrier.isRepeating else { return }
        carrier.isSuspect = false
        carrier.isAsked = false
        for number in doubts.numbers(on: carrier) where doubts.isUnasked(number) { settle(number) }
        switch carrier.phase {
        case .idle where !carrier.isMisplaced: carrierIsIdle(carrier)
        case .shared where !carrier.isRetiring:
            guard trunk == nil, !hasLeft, carrier.belongs(to: shared.conversation) else { return carrier.retire() }
            formerTrunks.removeAll { $0 === carrier }
            trunk = carrier
            while trunk === carrier, carrier.takesStreams, let application = nextWaiting(sharing: true) {
                openShared(application)
            }
        default: break
        }
    }

    /// If the machine has slept since this was last called, nothing is known of any carrier.
    func noticeSleep() {
        let asleep = shard.timeAsleep()
        defer { doubts.timeAsleep = asleep }
        guard asleep &- min(doubts.timeAsleep ?? asleep, asleep) >= Doubts.sleep else { return }
        for carrier in Array(carriers.values) {
            switch carrier.phase {
            case .idle, .shared, .streaming: suspect(carrier)
            default: break
            }
        }
    }

    // MARK: Streams in doubt

    /// Whether streams of `service` share carriers.
    func shares(_ service: ServiceID) -> Bool { settings.services[service]?.carrier != .own }

    private func noteOpenings(of carrier: Carrier) {
        guard carrier.belongs(to: shared.conversation) else { return }
        forgetUnanswerable()
        for number in carrier.openings {
            doubts.note(number, on: carrier)
            carrier.first?.isInDoubt = true
        }
    }

    /// The stream `number` goes on where it is.
    private func settle(_ number: UInt64) {
        guard case .on(let carrier) = doubts.settle(number), let first = carrier.first else { return }
        first.isInDoubt = false
        shard.again(carrier)
    }

    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes) {
        let application = Application(
            endpoint: app, service: first.service, source: first.source, shares: shares(first.service), first: first)
        let id = carrier.peer.conversation
        guard shared.conversation == id, !hasLeft, first.losses <= Doubts.mostLosses else {
            return giveUp(application, "the link to the server broke")
        }
        if doubts.conversation != id { forgetUnanswerable() }
        let deadline = shard.now &+ settings.waiting.atMost.nanoseconds
        doubts.hold(first.number, application, of: id, until: deadline)
    }

    private func giveUp(_ application: Application, _ why: String) {
        application.endpoint.reset()
        shared.watch.turnedAway()
        shard.counters.brokenStreams &+= 1
        shard.emit(.streamBroken(application.service, why))
    }

    /// Asks on a carrier that has been heard, or dials one.
    func seekAnswers() {
        doubts.hasNew = false
        forgetUnanswerable()
        armDoubts()
        if let trunk, trunk.wasHeardLately { askAbout(trunk) }
        for carrier in pool.all where !doubts.unasked.isEmpty && carrier.wasHeardLately { askAbout(carrier) }
        refill()
    }

    /// Asks on `carrier` about streams of other carriers, if there are any in doubt.
    func askAbout(_ carrier: Carrier) {
        guard !doubts.unasked.isEmpty, carrier.mayWithdraw else { return }
        let numbers = doubts.ask(on: carrier)
        guard !numbers.isEmpty else { return }
        expectWord(of: carrier)
        carrier.withdraw(numbers)
    }

    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64]) {
        doubts.answered(on: carrier)
        for number in numbers {
            guard begun.contains(number) else {
                switch doubts.settle(number) {
                case .on(let other): _ = other.takeBack(number)
                case .held(let application): serve(application)
                case nil: break
                }
                continue
            }
            if case .held(let application) = doubts.openings[number] {
                giveUp(application, "the link to the server broke behind what was sent")
            }
            settle(number)
        }
        askAbout(carrier)
        if carrier.phase == .idle, carrier.withdrawing == nil, !pool.has(carrier) { carrierIsIdle(carrier) }
        leaveIfDone()
    }

    /// `carrier` has ended or leaves this loop: what it asked is asked elsewhere, and what was on it is in its owner's
    /// hands by now.
    func forgetDoubts(of carrier: Carrier) {
        doubts.askElsewhere(than: carrier)
        for number in doubts.forget(carrier) { _ = doubts.settle(number) }
    }

    /// What became of a conversation's streams can be asked in that conversation only.
    func forgetUnanswerable() {
        guard !doubts.openings.isEmpty else { return }
        let present = shared.hasConversation(at: .now) ? shared.conversation : nil
        if doubts.conversation != present { giveUpDoubts("the conversation with the server is over") }
    }

    /// No answer will come any more: applications without a carrier are reset.
    func giveUpDoubts(_ why: String) {
        guard !doubts.openings.isEmpty else { return }
        for (number, opening) in doubts.openings {
            if case .held(let application) = opening { giveUp(application, why) }
            settle(number)
        }
        leaveIfDone()
    }

    /// The loop was late: looks a little later.
    private func armLate() {
        while let first = doubts.expected.first, shard.now &- first.since >= Doubts.shortest {
            doubts.overdue.append(doubts.expected.removeFirst())
        }
        armDoubts()
    }

    private func turnAwayOverdue(_ now: Nanoseconds) {
        while let number = doubts.overdueNumber(now) {
            guard case .held(let application) = doubts.settle(number) else { continue }
            giveUp(application, "the server did not answer in time")
        }
        leaveIfDone()
    }
}

/// What a carrier's silence means.
enum Silence {
    /// Nothing: all that was sent has arrived at the peer's host, and it was heard shortly before.
    case fine
    /// It cannot be told yet.
    case early
    /// The peer has to be asked.
    case unasked
    /// The peer, or the way to it, is gone.
    case silent
}

extension Carrier {
    /// It need not be asked whether anybody is there.
    var wasHeardLately: Bool { shard.now &- min(lastHeard, shard.now) < Doubts.quiet }

    /// TCP has sent something again that was not acknowledged.
    var isRepeating: Bool { (link.silence?.unanswered ?? 0) > 0 }

    /// Judges that nothing was heard since `since`.
    func judgeSilence(since: Nanoseconds, _ now: Nanoseconds) -> Silence {
        let elapsed = now &- min(since, now)
        let tcp = link.silence
        // What the kernel waits for before it sends again, three times.
        guard elapsed >= min(max(3 * (tcp?.pace ?? 0), Doubts.shortest), Doubts.longest) else { return .early }
        if let tcp {
            // A large frame on a slow link is under way for long.
            if filled > parsed, UInt64(tcp.last_data_ms) * 1_000_000 < elapsed { return .early }
            let lastAck = UInt64(tcp.last_ack_ms) * 1_000_000
            if tcp.unanswered >= 1, lastAck &+ Doubts.step / 2 >= elapsed { return .silent }
        }
        guard lastHeard <= since else { return .early }
        if isAsked { return .silent }
        return phase == .shared || withdrawing != nil ? .unasked : .fine
    }
}
