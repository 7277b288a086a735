// One thread, one event loop: it owns its sockets, its buffers, its timers and its counters, and
// shares nothing with the other shards while bytes move.
//
// A turn: letters -> drivers that asked for another turn -> sleep in epoll_wait until the next
// deadline (not at all if somebody asked for a turn) -> timers -> events.
internal import CLinux
internal import Codec
internal import Glibc

/// What a shard serves: the client's or the server's half of the tunnel.
protocol Role: AnyObject {
    /// Runs once, on the shard's thread, before the first turn.
    func begin()
    /// A graceful end was asked for: accept nothing new, let streams finish.
    func drain()
    /// Every loop of the daemon drains: no carrier will come from another any more.
    func everybodyDrains()
    /// The drain time-out passed: end every stream.
    func cut()
    /// Nothing is left to do: the shard may end.
    var isFinished: Bool { get }
    /// Carriers accepted and idle now.
    var idleCarriers: Int { get }
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
    @exclusivity(unchecked) private var momentOfTurn: ContinuousClock.Instant?
    private let clock: () -> Nanoseconds
    /// How long the machine has slept since it started, which `now` does not count.
    let timeAsleep: () -> Nanoseconds
    private let timers = Timers()
    private let polls: Bool
    @exclusivity(unchecked) private var polling = Polling()
    @exclusivity(unchecked) private var again: [any LastingDriver] = []
    /// Shared carriers whose streams have said something in this turn.
    @exclusivity(unchecked) private var flushes: [Carrier] = []
    @exclusivity(unchecked) private var flushing: [Carrier] = []
    /// Streams that have outlived their carrier and still write their last bytes.
    private var outliving: [Ticket: SharedStream] = [:]
    /// Applications whose stream broke, and which still get what had arrived for them.
    private var farewells: [Ticket: Farewell] = [:]
    private var hasLetters = true
    private var mustBurnStack = false
    private var hasWarnedOfUnlockedSecrets = false
    private(set) var role: (any Role)?
    private(set) var isDraining = false
    /// The drain time is over: what still comes from another loop is ended at once.
    private(set) var isCut = false

    /// `clock` is the monotonic clock, and `timeAsleep` what that leaves out, except in tests; without `polls` waiting is always sleeping.
    init(
        index: Int, kind: LoopKind = .only, mailbox: Mailbox, polls: Bool = false,
        clock: @escaping () -> Nanoseconds = monotonicNow, timeAsleep: @escaping () -> Nanoseconds = Relay.timeAsleep,
        emit: @escaping @Sendable (RelayEvent) -> Void
    ) throws(RelayError) {
        self.clock = clock
        self.timeAsleep = timeAsleep
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
    var moment: ContinuousClock.Instant {
        if let momentOfTurn { return momentOfTurn }
        let moment = ContinuousClock.now
        momentOfTurn = moment
        return moment
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

    /// Flushes `carrier` once, when what is going on in this turn is done.
    func flushAtEndOfTurn(_ carrier: Carrier) { flushes.append(carrier) }

    /// The counters, with the gauges as of now.
    func gauged() -> Counters {
        var all = counters
        all.carriersIdle = role?.idleCarriers ?? 0
        return all
    }

    /// Public-key or key-schedule work was done in this turn: before the shard sleeps it overwrites the
    /// part of its stack that such work uses.
    func handledSecrets() { mustBurnStack = true }

    /// Tells the log once if the kernel does not lock all secrets into memory.
    func warnOfUnlockedSecrets() {
        guard !hasWarnedOfUnlockedSecrets, Secret.unlockedBytes > 0 else { return }
        hasWarnedOfUnlockedSecrets = true
        emit(.memoryUnlocked)
    }

    /// Serves `role` until it has drained.
    func run(_ role: any Role) {
        begin(role)
        // A letter that came meanwhile may be somebody's question.
        while !(isFinished && mailbox.closeIfEmpty()) { turn() }
        forgetRole()
    }

    /// Turns serve `role` from now on.
    func begin(_ role: any Role) {
        self.role = role
        role.begin()
    }

    /// Role, timers and drivers that are still due hold on to the shard, and it to them.
    func forgetRole() {
        timers.removeAll()
        again.removeAll()
        flushes.removeAll()
        role = nil
    }

    private var isFinished: Bool { isDraining && outliving.isEmpty && farewells.isEmpty && role?.isFinished == true }

    /// One turn of the loop; sleeps at most until the next deadline, or not at all if `mayWait` is false.
    func turn(mayWait: Bool = true) {
        turns &+= 1
        if hasLetters { for letter in mailbox.takeAll() { letter(self) } }
        flush()
        runAgain()
        flush()
        let events = wait(mayWait ? timeout() : 0)
        crowd += events
        momentOfTurn = nil
        hasLetters = poller.dispatch(events)
        while let timer = timers.popDue(now: now) {
            timer.fire(now: now)
        }
        flush()
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

    private func flush() {
        guard !flushes.isEmpty else { return }
        // Only those present now: who has something to say again has its next turn.
        swap(&flushes, &flushing)
        for carrier in flushing { carrier.flush() }
        flushing.removeAll(keepingCapacity: true)
    }

    /// Starts the graceful end of this shard; after `limit` nanoseconds what is left is cut.
    func drain(limit: Nanoseconds) {
        guard !isDraining, let role else { return }
        isDraining = true
        role.drain()
        let cutter = Cutter(self)
        cutter.timer = arm(cutter, after: limit)
        self.cutter = cutter
    }

    private var cutter: Cutter?

    private final class Cutter: Sleeper {
        weak var shard: Shard?
        var timer: Timer?
        init(_ shard: Shard) { self.shard = shard }
        func wake(_ timer: Timer, now: Nanoseconds) { shard?.cut() }
    }

    /// Every loop of the daemon drains.
    func everybodyDrains() { role?.everybodyDrains() }

    /// The drain time is over: ends what is still there.
    func cut() {
        isCut = true
        role?.cut()
        for stream in outliving.values { stream.cut() }
        for farewell in farewells.values { farewell.cut() }
    }

    /// `stream` has everything, its carrier is gone, and its application still has to take the last bytes.
    func outlives(_ stream: SharedStream) { outliving[stream.ticket] = stream }
    func outlived(_ stream: SharedStream) { outliving[stream.ticket] = nil }
    /// How many there are of those.
    var outlivingStreams: Int { outliving.count }

    func keep(_ farewell: Farewell) { farewells[farewell.ticket] = farewell }
    func forget(_ farewell: Farewell) { farewells[farewell.ticket] = nil }
    /// Connections that are being parted from.
    var partings: Int { farewells.count }

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
        if !again.isEmpty || !flushes.isEmpty || isFinished { return 0 }
        cipher.scrub()
        if mustBurnStack {
            mustBurnStack = false
            ow_burn_stack()
        }
        guard let next = timers.next else { return -1 }
        // Deadlines are rounded up to whole milliseconds: a timer may be late, never early.
        now = clock()
        guard next > now else { return 0 }
        return Int32(clamping: (next - now + 999_999) / 1_000_000)
    }
}
