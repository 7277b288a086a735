// One day: two clients and a server, applications and targets, and what goes wrong between them.
import CWorld
import Glibc

/// Everything that happens with one seed.
final class Day {
    private let seed: UInt64
    private var chance: Chance
    private let configuration: Configuration
    private(set) var promises = Promises()
    private var agenda = Agenda()
    private let events: Int32
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)

    private(set) var parties: [UInt64: Party] = [:]
    private var byFD: [Int32: Party] = [:]
    private var unfinished = 0
    private var exchanges: UInt64 = 0
    private var nextParty: UInt64 = 0

    private var server: TestDaemon?
    private var clients: [TestDaemon?] = [nil, nil]
    private var ending: [TestDaemon] = []
    /// What runs on each machine beside the daemons.
    private let outside: [Int32]
    private var targets: [Int32: Int] = [:]
    private var targetFDs: [Int32?] = []
    private let heavies: Bool
    private let kind: Kind

    private enum Kind {
        case usual
        /// One stream keeps everybody busy while a daemon drains.
        case torrent
        /// Streams that are passed to the loops for heavy ones, and back.
        case bulk
        /// Heavy streams of both devices move at once while connections break.
        case storm
    }
    /// When no machine sleeps any more.
    private var awake: UInt64 = 0
    private static let serverMachine: Int32 = 2

    init(_ seed: UInt64) {
        self.seed = seed
        chance = Chance(seed)
        kind = chance.one(in: 100) ? .torrent : chance.one(in: 8) ? .storm : chance.one(in: 30) ? .bulk : .usual
        configuration = Configuration(&chance, isForBulk: kind == .torrent || kind == .bulk)
        heavies = chance.one(in: 3)
        promises.isCalm = chance.one(in: 4) && kind == .usual && configuration.isRoomy
        var magic = Payload.magic
        cw_set_secret(&magic, 8)
        var longest: UInt64 = 0
        for machine in 0..<2 as Range<Int32> {
            let delay = UInt64(chance.pick([50_000, 1_000_000, 20_000_000, 100_000_000]))
            longest = max(longest, delay)
            cw_set_path(machine, delay, delay / UInt64(chance.pick([2, 20])), chance.pick([0.1, 1, 10, 80]))
        }
        if kind == .torrent || kind == .bulk {
            for machine in 0..<2 as Range<Int32> { cw_set_path(machine, 50_000, 1000, 0.1) }
        }
        // A path must carry the largest frame within the dead-peer time.
        let sending = UInt32(
            kind == .torrent
                ? 1 << 20 : chance.pick(longest > 10_000_000 ? [131_072, 262_144] : [8192, 65_536, 262_144]))
        let receiving = UInt32(kind == .torrent || kind == .bulk ? 8 << 20 : chance.pick([16_384, 65_536, 262_144]))
        cw_set_buffers(sending, receiving)
        promises.mostUnderWay = 3 * Int(sending + receiving) + 700_000
        outside = (0..<3).map { cw_process($0) }
        cw_enter(-1)
        events = epoll_create1(0)
    }

    /// The whole of it. Returns when every promise was kept.
    func run() {
        for index in Service.all.indices {
            targetFDs.append(nil)
            if Service.all[index].works { listen(index) }
        }
        startServer()
        for device in 0..<2 { startClient(device) }
        let length = UInt64(chance.within(5...40)) * 1_000_000_000
        let end = cw_now() + length
        writeAgenda(length)
        go(until: end)
        settle()
        lookAtEverybody()
        for device in 0..<2 { tryOnce(device) }
        close()
        cw_report(sums.map { "\($0)" }.joined(separator: " "))
    }

    /// What all daemons of the day have counted, in the order of `TestDaemon.counted`.
    private var sums = TestDaemon.counted.map { _ in UInt64(0) }

    // MARK: Time

    func wake(_ party: Party, at time: UInt64) { agenda.note(at: time) { party.advance() } }

    private func at(_ time: UInt64, _ act: @escaping () -> Void) { agenda.note(at: time, act) }
    private func after(_ delay: UInt64, _ act: @escaping () -> Void) { agenda.note(at: cw_now() + delay, act) }

    /// Lets the world go on until `end`, or until `isDone`.
    private func go(until end: UInt64, _ isDone: () -> Bool = { false }) {
        var ready = [epoll_event](repeating: epoll_event(), count: 64)
        while cw_now() < end, !isDone() {
            if cw_run(min(end, agenda.next ?? end), events) {
                let count = epoll_wait(events, &ready, 64, 0)
                for event in ready[..<Int(max(0, count))] {
                    let fd = Int32(truncatingIfNeeded: event.data.u64)
                    if let service = targets[fd] { accept(service, fd) } else { byFD[fd]?.advance() }
                }
            }
            while let next = agenda.next, next <= cw_now() { agenda.removeFirst()() }
        }
    }

    // MARK: Applications and targets

    private func watch(_ fd: Int32, _ kinds: EPOLL_EVENTS...) {
        var event = epoll_event()
        event.events = kinds.reduce(EPOLLET.rawValue) { $0 | $1.rawValue }
        event.data.u64 = UInt64(fd)
        epoll_ctl(events, EPOLL_CTL_ADD, fd, &event)
    }

    private func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// A socket that connects to the client's daemon of `device`; -1 with errno.
    func connect(to service: Int, from device: Int) -> Int32 {
        cw_enter(outside[device])
        defer { cw_enter(-1) }
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = address(Configuration.port(service))
        _ = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(fd, $0, 16) }
        }
        watch(fd, EPOLLIN, EPOLLOUT, EPOLLRDHUP)
        return fd
    }

    /// Where bytes that are not those of `party` from `offset` on begin to differ, and whose they are.
    func origin(of bytes: UnsafeRawBufferPointer, _ party: UInt64, _ offset: Int) -> String {
        var good = 0
        while good < bytes.count, Payload.matches(.init(rebasing: bytes[good..<good + 1]), party, from: offset + good) {
            good += 1
        }
        let start = "the first at \(offset + good)"
        guard bytes.count - good >= 24 else { return start }
        for other in parties.values.sorted(by: { $0.id < $1.id }) {
            for place in 0..<max(0, other.sent - 24)
            where Payload.matches(.init(rebasing: bytes[good..<good + 24]), other.id, from: place) {
                return "\(start), which are those of \(other.account) from \(place) on"
            }
        }
        return "\(start), which are nobody's"
    }

    private func listen(_ service: Int) {
        cw_enter(outside[Int(Self.serverMachine)])
        defer { cw_enter(-1) }
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = address(Configuration.targetPort(service))
        let isBound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, 16) }
        }
        guard isBound == 0, Glibc.listen(fd, 128) == 0 else { cw_fail("the world cannot listen") }
        targets[fd] = service
        targetFDs[service] = fd
        watch(fd, EPOLLIN)
    }

    private func stopListening(_ service: Int) {
        guard let fd = targetFDs[service] else { return }
        targetFDs[service] = nil
        targets[fd] = nil
        Glibc.close(fd)
    }

    private func accept(_ service: Int, _ listener: Int32) {
        cw_enter(outside[Int(Self.serverMachine)])
        defer { cw_enter(-1) }
        while true {
            let fd = Glibc.accept(listener, nil, nil)
            guard fd >= 0 else { return }
            nextParty += 1
            let party = Party(nextParty, accepted: fd, by: service, on: self)
            take(party)
            watch(fd, EPOLLIN, EPOLLOUT, EPOLLRDHUP)
        }
    }

    private func begin(_ device: Int, _ service: Int, _ kind: Script.Kind = .usual) -> Party {
        exchanges += 1
        nextParty += 1
        let exchange = Exchange(
            seed &* 100_000 &+ exchanges, kind, device: device, service: service, heavies: heavies)
        let party = Party(nextParty, exchange, on: self)
        if cw_traces() { cw_trace("begins: \(party.account)") }
        take(party)
        return party
    }

    private func take(_ party: Party) {
        parties[party.id] = party
        guard !party.isDone else { return }
        unfinished += 1
        byFD[party.fd] = party
    }

    /// `party` has closed its socket; `fd` is what it had.
    func isDone(_ party: Party, had fd: Int32) {
        if byFD[fd] === party {
            byFD[fd] = nil
            unfinished -= 1
        }
        if cw_traces() { cw_trace("done: \(party.account)") }
    }

    // MARK: Daemons

    private func startServer() {
        let daemon = TestDaemon(server: configuration.server, on: Self.serverMachine, named: "server")
        if daemon.start() { server = daemon } else { after(200_000_000) { [self] in startServer() } }
    }

    private func startClient(_ device: Int) {
        let daemon = TestDaemon(
            client: configuration.clients[device], on: Int32(device), named: "client \(device)")
        if daemon.start() { clients[device] = daemon } else { after(200_000_000) { [self] in startClient(device) } }
    }

    private func end(_ daemon: TestDaemon?) {
        guard let daemon else { return }
        daemon.drain()
        ending.append(daemon)
    }

    private func restartServer(killing: Bool) {
        guard let server else { return }
        self.server = nil
        if killing { cw_kill(server.process) }
        end(server)
        after(killing ? 1_000_000 : 10_000_000) { [self] in startServer() }
    }

    private func restartClient(_ device: Int, killing: Bool) {
        guard let client = clients[device] else { return }
        clients[device] = nil
        if killing { cw_kill(client.process) }
        end(client)
        after(killing ? 1_000_000 : 10_000_000) { [self] in startClient(device) }
    }

    // MARK: What happens

    private func writeAgenda(_ length: UInt64) {
        let start = cw_now()
        func moment() -> UInt64 { start + UInt64(chance.below(Int(length))) }
        var when = moment()
        for _ in 0..<chance.within(5...(heavies ? 30 : 60)) {
            // Some come in herds.
            if chance.one(in: 3) { when = moment() }
            let device = chance.below(2)
            let service = chance.pick([0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4])
            at(when) { [self] in _ = begin(device, service) }
        }
        switch kind {
        case .usual: break
        case .torrent: torrent(moment())
        case .storm: for _ in 0..<3 { storm(moment()) }
        case .bulk:
            for _ in 0..<chance.within(1...2) {
                let device = chance.below(2)
                let service = chance.below(2)
                at(moment()) { [self] in _ = begin(device, service, .bulk) }
            }
        }
        guard !promises.isCalm else { return }
        for _ in 0...chance.below(6) {
            let machine = Int32(chance.below(2))
            let device = Int(machine)
            let time = moment()
            let lasts = UInt64(chance.skewed(30_000) + 1) * 1_000_000
            switch chance.below(16) {
            case 0...4:
                let cut = chance.pick([CW_CUT_RESET, CW_CUT_HALF, CW_CUT_FORGET])
                let bytes = UInt64(chance.skewed(200_000))
                at(time) { _ = cw_cut(machine, cut, bytes) }
            case 5, 6:
                at(time) { [self] in
                    cw_break_path(machine)
                    after(lasts) { cw_heal_path(machine) }
                }
            case 7: at(time) { [self] in suspend(device, 10 * lasts) }
            case 8:
                at(time) { [self] in if let client = clients[device] { cw_starve(client.process, cw_now() + lasts) } }
            case 9: at(time) { [self] in if let server { cw_starve(server.process, cw_now() + lasts) } }
            case 10: at(time) { [self] in restartServer(killing: true) }
            case 11: at(time) { [self] in restartServer(killing: false) }
            case 12: at(time) { [self] in restartClient(device, killing: true) }
            case 13: at(time) { [self] in restartClient(device, killing: false) }
            case 14:
                let service = chance.below(4)
                at(time) { [self] in
                    stopListening(service)
                    after(lasts) { [self] in if targetFDs[service] == nil { listen(service) } }
                }
            default:
                let delay = UInt64(chance.skewed(500)) * 1_000_000
                at(time) { cw_set_path(machine, delay, delay / 4, 10) }
            }
        }
    }

    private func torrent(_ time: UInt64) {
        let device = chance.below(2)
        at(time) { [self] in _ = begin(device, 1, .torrent) }
        let delay = UInt64(chance.within(100...280)) * 1_000_000
        let isServer = chance.one(in: 2)
        at(time + delay) { [self] in isServer ? restartServer(killing: false) : restartClient(device, killing: false) }
    }

    private func storm(_ time: UInt64) {
        for _ in 0..<chance.within(4...12) {
            let device = chance.below(2)
            at(time + UInt64(chance.below(50)) * 1_000_000) { [self] in _ = begin(device, 0, .heavy) }
        }
        for _ in 0..<chance.within(5...25) {
            let machine = Int32(chance.below(2))
            let bytes = UInt64(chance.skewed(1000))
            at(time + UInt64(chance.below(2000)) * 1_000_000) {
                _ = cw_cut(machine, CW_CUT_RESET, bytes)
            }
        }
    }

    private func suspend(_ device: Int, _ duration: UInt64) {
        guard let client = clients[device] else { return }
        cw_suspend(client.process, duration)
        awake = max(awake, cw_now() + duration)
    }

    // MARK: The evening

    /// Everything is whole again; everybody comes to an end.
    private func settle() {
        for machine in 0..<2 as Range<Int32> { cw_heal_path(machine) }
        cw_spare()
        go(until: awake)
        // As long as somebody gets on, however slowly.
        repeat {
            let end = cw_now() + 40_000_000_000 + configuration.patience
            go(until: end) { unfinished == 0 && ending.allSatisfy(\.hasEnded) && agenda.next == nil }
        } while byFD.values.contains { $0.movedAt + 30_000_000_000 > cw_now() }
        for index in Service.all.indices where Service.all[index].works && targetFDs[index] == nil { listen(index) }
    }

    private func lookAtEverybody() {
        for id in parties.keys.sorted() {
            guard let party = parties[id] else { continue }
            if !party.isDone { promises.broken("nothing comes to an end", party) }
            if party.role == .app { promises.completed(party) }
        }
        for daemon in ending where !daemon.hasEnded { cw_fail("\(daemon.name) drains for ever") }
        for daemon in ending { isGone(daemon) }
        ending = []
    }

    /// On a healthy network a new connection is served, soon.
    private func tryOnce(_ device: Int) {
        let deadline = cw_now() + 30_000_000_000
        while true {
            nextParty += 1
            exchanges += 1
            let exchange = Exchange(0, device: device, service: 0, heavies: false)
            let party = Party(nextParty, exchange, on: self)
            take(party)
            go(until: deadline) { party.isDone }
            if case .end? = party.ending { return }
            if cw_now() >= deadline { promises.broken("no connection is served on a healthy network", party) }
            go(until: cw_now() + 100_000_000)
        }
    }

    /// Both daemons end, and leave nothing behind.
    private func close() {
        let all = [clients[0], clients[1], server].compactMap { $0 }
        if all.count < 3 { cw_fail("a daemon could not be started again") }
        go(until: cw_now() + 2_000_000_000)
        for daemon in all {
            daemon.drain()
            go(until: cw_now() + 60_000_000_000) { daemon.hasEnded }
            guard daemon.hasEnded else { cw_fail("\(daemon.name) drains for ever, with nothing left to do") }
        }
        clients = [nil, nil]
        server = nil
        for daemon in all { isGone(daemon) }
    }

    /// `daemon` has ended: everything of it must have gone.
    private func isGone(_ daemon: TestDaemon) {
        let open = daemon.open
        sums = zip(sums, daemon.sums).map { $0 + $1 }
        if open.streams != 0 || open.carriers != 0 {
            cw_fail("\(daemon.name) ended with \(open.streams) streams and \(open.carriers) carriers open")
        }
        daemon.release()
        go(until: cw_now() + 3_000_000_000)
        let left = cw_belongings(daemon.process)
        if left.descriptors != 0 || left.threads != 0 || left.semaphores != 0 {
            cw_list(daemon.process)
            cw_fail(
                "\(daemon.name) left \(left.descriptors) descriptors, \(left.threads) threads and \(left.semaphores) "
                    + "semaphores behind")
        }
    }
}
