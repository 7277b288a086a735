// A server whose configuration changes while it serves: who may stay, where new streams go, and what is refused.
import Pairing
import Settings
import Testing
import Wire

@testable import Relay
@testable import Vault

extension RolesBench {
    /// Changes the server's settings and gives every loop its letter, which it reads in its next turn.
    func apply(_ change: (inout ServerSettings) -> Void) {
        let shared = server.roles[0].shared
        var settings = shared.roster.settings
        change(&settings)
        shared.apply(settings, to: server.loops)
    }

    fileprivate func carriers(of device: PublicKey) -> Int {
        server.roles.reduce(0) { $0 + $1.everyCarrier.count { $0.peer.device == device } }
    }

    /// What `application` says arrives at `target`, and the answer comes back.
    fileprivate func expectTalk(_ application: TestSocket, _ target: TestSocket) {
        application.write([1, 2, 3])
        #expect(turn { target.read() == .bytes([1, 2, 3]) })
        target.write([4])
        #expect(turn { application.read() == .bytes([4]) })
    }

    fileprivate func isReset(_ socket: TestSocket) -> Bool {
        turn { socket.read() == .broken(TestSocket.connectionReset) }
    }
}

@Suite struct RosterTests {
    private static let kinds = [CarrierChoice.shared, .own]

    @Test("After a change of its target, new streams go to the new one and old streams live on", arguments: kinds)
    func target(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let old = try bench.open()
        // A carrier that remembers where streams of the service went.
        let ended = try bench.open()
        ended.application.reset()
        _ = bench.turn { bench.used().streams == 1 }
        let other = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let address = try #require(other.address)
        bench.apply { $0.services[RolesBench.service]?.target = address }
        let application = try bench.ask()
        var target: TestSocket?
        #expect(
            bench.turn {
                target = bench.arrival(at: other)
                return target != nil
            })
        bench.expectTalk(application, try #require(target))
        bench.expectTalk(old.application, old.target)
        #expect(bench.arrival() == nil, "the old target got nothing more")
    }

    @Test(
        "A device that is taken out loses streams, carriers and conversations, and cannot come back; others notice nothing",
        arguments: kinds)
    func revoked(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(devices: 2, carrier: carrier)
        let (lost, kept) = (try bench.open(0), try bench.open(1))
        let shared = bench.server.roles[0].shared
        let device = try #require(shared.roster.settings.devices.first)
        #expect(shared.vault.count == 2)
        bench.apply { $0.devices.removeFirst() }
        #expect(bench.isReset(lost.application))
        #expect(bench.isReset(lost.target))
        #expect(bench.turn { bench.carriers(of: device.key) == 0 && shared.vault.count == 1 })
        let pairings = bench.server.counters.pairings
        // The client resumes and pairs as often as it likes.
        let strangers = bench.server.counters.strangers
        #expect(
            bench.turn {
                bench.clock.advance(by: .milliseconds(50))
                return bench.server.counters.strangers >= strangers + 4
            })
        #expect(bench.server.counters.pairings == pairings && bench.carriers(of: device.key) == 0)
        #expect(shared.vault.count == 1)
        bench.expectTalk(kept.application, kept.target)
        // Taken in again, it is served as ever.
        bench.apply { $0.devices.append(device) }
        #expect(
            bench.turn {
                bench.clock.advance(by: .milliseconds(50))
                return bench.server.counters.pairings > pairings
            })
        let again = try bench.open(0)
        bench.expectTalk(again.application, again.target)
    }

    @Test("A service that a device may not use any more ends for it at once, its carriers go on", arguments: kinds)
    func permission(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(devices: 2, carrier: carrier)
        let (lost, kept) = (try bench.open(0), try bench.open(1))
        let pairings = bench.server.counters.pairings
        bench.apply { $0.devices[0].services = [] }
        #expect(bench.isReset(lost.application))
        #expect(bench.isReset(lost.target))
        #expect(bench.isReset(try bench.ask(0)))
        #expect(bench.arrival() == nil)
        bench.expectTalk(kept.application, kept.target)
        bench.apply { $0.devices[0].services = [RolesBench.service] }
        let again = try bench.open(0)
        bench.expectTalk(again.application, again.target)
        #expect(bench.server.counters.pairings == pairings, "the conversation went on")
    }

    @Test("A carrier forgets where streams went when the roster changes", arguments: kinds)
    func rememberedRoute(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier)
        let stream = try bench.open()
        stream.application.reset()
        #expect(bench.turn { bench.used().streams == 0 })
        bench.apply { $0.devices[0].services = [] }
        #expect(bench.turn { bench.server.roles.allSatisfy { $0.roster.version == 1 } })
        #expect(bench.isReset(try bench.ask()))
        #expect(bench.arrival() == nil && bench.used().streams == 0)
    }

    @Test("At REKEY a shared carrier is not judged by a service that a stream before had")
    func staleService() throws {
        let bench = try RolesBench()
        _ = try bench.open()
        bench.turn()
        let role = bench.server.roles[0]
        let trunk = try #require(role.register.shared.first)
        trunk.service = ServiceID("gone")
        #expect(role.carrierMayGoOn(trunk))
        bench.apply { $0.devices = [] }
        #expect(bench.turn { role.roster.version == 1 })
        #expect(!role.carrierMayGoOn(trunk))
    }

    @Test("Limits of a device change at once, for what it has already too", arguments: kinds)
    func deviceLimits(_ carrier: CarrierChoice) throws {
        let bench = try RolesBench(carrier: carrier, deviceLimits: DeviceLimits(streams: 2))
        let streams = try (0..<2).map { _ in try bench.open() }
        #expect(bench.isReset(try bench.ask()))
        bench.apply { $0.deviceLimits.streams = 3 }
        let third = try bench.open()
        bench.apply { $0.deviceLimits.streams = 1 }
        for stream in streams { bench.expectTalk(stream.application, stream.target) }
        #expect(bench.isReset(try bench.ask()))
        #expect(bench.used().streams == 3)
        withExtendedLifetime(third) {}
        bench.apply { $0.deviceLimits.backlog = 64 << 10 }
        let budget = try #require(bench.server.roles[0].roster.budgets.values.first)
        let place = StreamPlace(budget)
        #expect(place.holds(64 << 10) && !place.holds(64 << 10 + 1))
    }

    @Test("What strangers may ask for changes at once")
    func admission() throws {
        let admission = Admission(AdmissionSettings(pairRate: 1, pairBurst: 2))
        let peer = try #require(SocketAddress(literal: .tcp(host: "192.0.2.1", port: 1)))
        func admitted(_ now: Nanoseconds) -> Int { (0..<20).count { _ in admission.admit(peer, now: now) } }
        let second: Nanoseconds = 1_000_000_000
        #expect(admitted(second) == 2)
        admission.limit(to: AdmissionSettings(pairRate: 10, pairBurst: 5))
        #expect(admitted(second) == 0, "what was used up stays used up")
        #expect(admitted(2 * second) == 5)
        admission.limit(to: AdmissionSettings(pairRate: 10, pairBurst: 1))
        #expect(admitted(9 * second) == 1)
    }

    @Test("A roster that comes late does not replace a later one")
    func order() throws {
        let bench = try RolesBench()
        let role = bench.server.roles[0]
        let (first, second) = (role.roster, role.shared.next(role.roster.settings))
        let third = role.shared.next(role.roster.settings)
        role.adopt(third)
        role.adopt(second)
        #expect(role.roster.version == 2 && first.version == 0 && second.version == 1)
        let key = try #require(first.devices.keys.first)
        #expect(third.budgets[key] === first.budgets[key], "a device that stays keeps what it has")
    }

    @Test("A device that is taken out while its PAIR waits for the worker is not answered", arguments: [true, false])
    func whilePairing(isTakenOut: Bool) throws {
        let bench = try RolesBench()
        let shared = bench.server.roles[0].shared
        let pairings = bench.server.counters.pairings
        // The worker is kept busy, so that PAIR waits in its queue.
        let (gate, done) = (Latch(), Latch())
        #expect(shared.pairingWorkers.run { gate.wait() })
        let device = try #require(shared.roster.settings.devices.first)
        shared.vault.removeAll(of: device.key)
        for carrier in bench.server.roles[0].everyCarrier { carrier.end(.orderly) }
        let application = try bench.ask()
        let deadline = bench.clock.now + 3_000_000_000
        while bench.clock.now < deadline { bench.turn() }
        // As when the worker had asked an earlier roster: its answer waits for the loop that has the new one.
        gate.open()
        #expect(shared.pairingWorkers.run { done.open() })
        done.wait()
        if isTakenOut { bench.server.roles[0].adopt(Roster(taking: device, outOf: shared.roster)) }
        for _ in 0..<2000 { bench.turn() }
        #expect(bench.server.counters.pairings == pairings + (isTakenOut ? 0 : 1))
        #expect(shared.vault.count == (isTakenOut ? 0 : 1))
        withExtendedLifetime(application) {}
    }
}

extension Roster {
    /// The same without `device`.
    fileprivate convenience init(taking device: Device, outOf roster: Roster) {
        var settings = roster.settings
        settings.devices.removeAll { $0 == device }
        self.init(settings, after: roster)
    }
}
