// One thread, one event loop: it owns its sockets, its buffers, its timers and its counters, and
// shares nothing with the other shards while bytes move.
//
// A turn: letters -> drivers that asked for another turn -> sleep in epoll_wait until the next
// deadline (not at all if somebody asked for a turn) -> timers -> events.
internal import CLinux
internal import Codec
internal import Glibc
internal import Pairing

/// What a loop is there for.
enum LoopKind {
    /// Everything, because no other loop belongs to it.
    case only
    /// New connections, handshakes and light streams; carriers with a heavy stream go to the other loop of its pair.
    case light
    /// Carriers with a heavy stream; when that is over they go back.
    case heavy
}

/// One event loop. Not thread-safe: everything but `mailbox` belongs to its thread.
final class Shard {
    let index: Int
    let kind: LoopKind
    let mailbox: Mailbox
    let poller: Poller
    let regions = RegionPool()
    let cipher = FrameCipher()
    let emit: @Sendable (RelayEvent) -> Void
    var counters = Counters()
    /// Scratch for vectored reads and writes, `vectorCount` entries.
    let vectors: UnsafeMutablePointer<iovec>
    static let vectorCount = 16

    // Accesses to these need no check at run time: none of them lasts while something else is called.
    /// The clock, as of this turn.
    @exclusivity(unchecked) private(set) var now: Nanoseconds
    @exclusivity(unchecked) private var momentOfTurn: Moment?
    private let clock: () -> Nanoseconds
    private let sinceBoot: () -> Nanoseconds
    let timers = Timers()
    private let polls: Bool
    @exclusivity(unchecked) private var polling = Polling()
    @exclusivity(unchecked) private var again: [any LastingDriver] = []
    /// What has more to do before this turn ends.
    @exclusivity(unchecked) private var enders: [any TurnEnder] = []
    @exclusivity(unchecked) private var ending: [any TurnEnder] = []
    private var lingering: [Ticket: any Lingerer] = [:]
    private var hasLetters = true
    private var traces = Traces()
    private var role: (any Role)?
    private var stage = Stage.serving
    private var cutter: Cutter?

    /// `clock` is the monotonic clock, and `sinceBoot` the one that counts sleep, except in tests; without `polls`
    /// waiting is always sleeping.
    init(
        index: Int, kind: LoopKind = .only, mailbox: Mailbox, polls: Bool = false,
        clock: @escaping () -> Nanoseconds = monotonicNow, sinceBoot: @escaping () -> Nanoseconds = nowSinceBoot,
        emit: @escaping @Sendable (RelayEvent) -> Void
    ) throws(RelayError) {
        self.clock = clock
        self.sinceBoot = sinceBoot
        self.polls = polls
        now = clock()
        self.index = index
        self.kind = kind
        self.mailbox = mailbox
        self.emit = emit
        poller = try Poller()
        vectors = .allocate(capacity: Self.vectorCount)
        guard poller.add(mailbox: mailbox.eventFD) else { throw .system("epoll_ctl", errno) }
    }

    deinit { vectors.deallocate() }

    /// The clock of lifetimes, which goes on while the machine sleeps, as of this turn: read when first asked
    /// for.
    var moment: Moment {
        if let momentOfTurn { return momentOfTurn }
        let moment = MomentClock.ofProcess.moment(sinceBoot: sinceBoot())
        momentOfTurn = moment
        return moment
    }

    /// How long the machine has slept since it started, which `now` does not count.
    func timeAsleep() -> Nanoseconds {
        let total = sinceBoot()
        return total &- min(clock(), total)
    }

    /// Wakes `sleeper` in `delay` nanoseconds.
    func arm(_ sleeper: any Sleeper, after delay: Nanoseconds) -> Timer {
        timers.arm(sleeper, at: now &+ delay)
    }

    /// Turns so far: tells one from the next.
    @exclusivity(unchecked) private(set) var turns: UInt64 = 0

    @exclusivity(unchecked) private var lastDevice: Ticket?
    @exclusivity(unchecked) private var devicesTookTurnsAt: Nanoseconds = 0
    /// How long two devices count as busy side by side after they were.
    private static let rivalry: Nanoseconds = 20_000_000

    /// A frame of the device with this ticket came.
    func heard(_ device: Ticket) {
        guard lastDevice != device else { return }
        if lastDevice != nil { devicesTookTurnsAt = now }
        lastDevice = device
    }

    /// Whether more than one device wants something of this loop at present.
    var hasRivals: Bool { devicesTookTurnsAt > 0 && now &- devicesTookTurnsAt < Self.rivalry }

    /// Drivers and events of this turn so far.
    @exclusivity(unchecked) private var crowd = 0
    /// So many want something in this turn that each has to be content with little: a turn must stay short for
    /// those who want just a word, and for new connections, which take several.
    var isCrowded: Bool { crowd > Self.crowdSize }
    private static var crowdSize: Int { 32 }

    /// Calls `driver` again in the next turn: it has more to do, but others have waited long enough.
    /// However often it is called, `driver` gets one.
    func again(_ driver: some LastingDriver) {
        guard !driver.isDueAgain else { return }
        driver.isDueAgain = true
        again.append(driver)
    }

    /// Calls `ender` when what is going on in this turn is done: once for each time that it asks.
    func atEndOfTurn(_ ender: some TurnEnder) { enders.append(ender) }

    /// The counters, with the gauges as of now.
    func gauged() -> Counters {
        var all = counters
        role?.gauge(&all)
        return all
    }

    // MARK: Secrets

    /// What key material may have left behind, and whether the log knows that it is not locked.
    private struct Traces {
        var areOnStack = false
        var areKnownUnlocked = false
    }

    /// Public-key or key-schedule work was done in this turn: before the shard sleeps it overwrites the
    /// part of its stack that such work uses.
    func handledSecrets() { traces.areOnStack = true }

    /// Tells the log once if the kernel does not lock all secrets into memory.
    func warnOfUnlockedSecrets() {
        guard !traces.areKnownUnlocked, Secret.unlockedBytes > 0 else { return }
        traces.areKnownUnlocked = true
        emit(.memoryUnlocked)
    }

    // MARK: Turns

    /// Serves `role` until it has drained.
    func run(_ role: some Role) {
        begin(role)
        // A letter that came meanwhile may be somebody's question.
        while !(isFinished && mailbox.closeIfEmpty()) { turn() }
        forgetRole()
    }

    /// Turns serve `role` from now on.
    func begin<R: Role>(_ role: R) {
        self.role = role
        role.door.open(to: role)
        role.begin()
    }

    /// Role, timers and drivers that are still due hold on to the shard, and it to them.
    func forgetRole() {
        timers.removeAll()
        again.removeAll()
        enders.removeAll()
        if let role { close(role) }
        role = nil
    }

    private func close(_ role: some Role) { role.door.close() }

    private var isFinished: Bool { isDraining && lingering.isEmpty && role?.isFinished == true }

    /// One turn of the loop; sleeps at most until the next deadline, or not at all if `mayWait` is false.
    func turn(mayWait: Bool = true) {
        turns &+= 1
        if hasLetters { for letter in mailbox.takeAll() { letter() } }
        endTurn()
        runAgain()
        endTurn()
        let events = wait(mayWait ? timeout() : 0)
        crowd += events
        momentOfTurn = nil
        hasLetters = poller.dispatch(events)
        while let timer = timers.popDue(now: now) {
            timer.fire(now: now)
        }
        endTurn()
    }

    /// Waits for events up to `timeout` milliseconds, polling at first where that is worthwhile. Reads the clock.
    private func wait(_ timeout: Int32) -> Int {
        let mayPoll = polls && timeout != 0 && polling.isWorthwhile
        let since = now
        var events = 0
        if mayPoll {
            // Who has something to do on this processor goes first: then polling costs nobody anything.
            repeat {
                events = poller.wait(timeout: 0)
                now = clock()
            } while events == 0 && now &- since < Polling.longest && sched_yield() == 0
        }
        if events == 0 {
            events = poller.wait(timeout: timeout)
            now = clock()
        }
        if timeout != 0 { polling.waited(now &- since, for: events, polled: mayPoll) }
        return events
    }

    private func endTurn() {
        guard !enders.isEmpty else { return }
        // Only those present now: what asks again has its next turn.
        swap(&enders, &ending)
        for ender in ending { ender.endTurn() }
        ending.removeAll(keepingCapacity: true)
    }

    // MARK: The end

    private enum Stage {
        case serving, draining, cut
    }

    /// A graceful end was asked for.
    var isDraining: Bool { stage != .serving }
    /// The drain time is over: what still comes from another loop is ended at once.
    var isCut: Bool { stage == .cut }

    /// Starts the graceful end of this shard; after `limit` nanoseconds what is left is cut.
    func drain(limit: Nanoseconds) {
        guard !isDraining, let role else { return }
        stage = .draining
        role.drain()
        let cutter = Cutter(self)
        cutter.timer = arm(cutter, after: limit)
        self.cutter = cutter
    }

    private final class Cutter: Sleeper {
        weak var shard: Shard?
        var timer: Timer?
        init(_ shard: Shard) { self.shard = shard }
        func wake(_ timer: Timer, now: Nanoseconds) { shard?.cut() }
    }

    /// The drain time is over: ends what is still there.
    func cut() {
        stage = .cut
        role?.cut()
        for lingerer in lingering.values { lingerer.cut() }
    }

    /// Holds `lingerer` and does not end before it has.
    func keep(_ lingerer: some Lingerer) { lingering[lingerer.ticket] = lingerer }
    /// `lingerer` has ended.
    func forget(_ lingerer: some Lingerer) { lingering[lingerer.ticket] = nil }
    /// How many `L` there are that have not ended.
    func lingerers<L: Lingerer>(_: L.Type) -> Int { lingering.values.count { $0 is L } }

    private func runAgain() {
        crowd = again.count
        guard !again.isEmpty else { return }
        // Only those present now: who asks once more has its next turn after the others' events.
        let drivers = again
        again.removeAll(keepingCapacity: true)
        for driver in drivers {
            driver.isDueAgain = false
            driver.advance()
        }
    }

    /// Milliseconds that epoll may sleep. Before a sleep no frame's key schedule is left behind.
    private func timeout() -> Int32 {
        if !again.isEmpty || !enders.isEmpty || isFinished { return 0 }
        cipher.scrub()
        if traces.areOnStack {
            traces.areOnStack = false
            ow_burn_stack()
        }
        guard let next = timers.next else { return -1 }
        // Deadlines are rounded up to whole milliseconds: a timer may be late, never early.
        now = clock()
        guard next > now else { return 0 }
        return Int32(clamping: (next - now + 999_999) / 1_000_000)
    }
}
