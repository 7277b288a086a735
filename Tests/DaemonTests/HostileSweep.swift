// Runs many cases over the lanes of a rig and judges every one.

import Synchronization

final class Sweep: Sendable {
    /// A case laid in wait on a lane for the next stream that opens there.
    private struct Ambush {
        let sweepCase: SweepCase
        /// The carrier and stream it fell upon.
        var victim: (carrier: Int, stream: Int)?
        var applied = false
        /// Bundles of the victim that have passed, by direction (shared carriers only).
        var bundles: [CarrierDirection: Int] = [:]
    }

    private struct Done: Sendable {
        let sweepCase: SweepCase
        let lane: Int
        let exchange: SmallExchange
        let received: Received
        let applied: Bool
    }

    private let rig: HostileRig
    /// The exchanges travel in bundles of a shared carrier, each alone on its lane's.
    private let isShared: Bool
    private let ambushes: Mutex<[Ambush?]>
    /// Shared carriers that a case fell upon: what still comes on them belongs to no later one.
    private let spoiled = Mutex<Set<Int>>([])
    private let next = Ticket()
    private let done = Inbox<Done>()

    init(on rig: HostileRig, shared: Bool = false) {
        self.rig = rig
        isShared = shared
        ambushes = Mutex(Array(repeating: nil, count: rig.lanes.count))
    }

    /// Runs every case; returns what was wrong, one line a fault.
    func run(_ cases: [SweepCase]) async throws -> [String] {
        rig.tap.setPolicy { [self] unit, place in meet(unit, at: place) }
        defer { rig.tap.passEverything() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in rig.lanes {
                group.addTask { try await onThread { try self.work(cases, on: lane) } }
            }
            try await group.waitForAll()
        }
        // The service's side of a broken exchange may end later than the application's.
        try await eventually("the service's connections end") { rig.service.active == 0 }
        return done.takeAll().flatMap(judge)
    }

    private func work(_ cases: [SweepCase], on lane: HostileRig.Lane) throws {
        while let sweepCase = next.take(from: cases) {
            // The stream may break before the case's unit comes: a case before this one may have left a
            // carrier behind that ends only now. So a case that met nothing is tried again.
            for attempt in 1...5 {
                ambushes.withLock { $0[lane.number] = Ambush(sweepCase: sweepCase) }
                let exchange = SmallExchange()
                let received = try exchange.perform(through: lane.endpoint)
                let applied = ambushes.withLock { ambushes in
                    defer { ambushes[lane.number] = nil }
                    return ambushes[lane.number]!.applied
                }
                if applied || attempt == 5 || received.end == .silence {
                    done.put(
                        Done(
                            sweepCase: sweepCase, lane: lane.number, exchange: exchange, received: received,
                            applied: applied))
                }
                if applied { break }
            }
        }
    }

    /// On the tap's thread.
    private func meet(_ unit: CarrierUnit, at place: UnitPlace) -> Verdict {
        let sweepCase: SweepCase? = ambushes.withLock { ambushes in
            guard var ambush = ambushes[place.lane], !ambush.applied else { return nil }
            guard !isShared else {
                guard meetBundle(unit, at: place, &ambush) else { return nil }
                ambushes[place.lane] = ambush
                return ambush.applied ? ambush.sweepCase : nil
            }
            guard place.indexInStream != nil else { return nil }
            if ambush.victim == nil && place.direction == .toServer && unit.kind == CarrierUnit.open {
                ambush.victim = (place.carrier, place.stream)
            }
            guard let victim = ambush.victim, victim == (place.carrier, place.stream) else { return nil }
            ambush.applied =
                place.direction == ambush.sweepCase.direction && place.indexInStream == ambush.sweepCase.unit
            ambushes[place.lane] = ambush
            return ambush.applied ? ambush.sweepCase : nil
        }
        return sweepCase?.verdict(unit, place, rig.tap) ?? .pass(unit)
    }

    /// Whether this is a bundle of the exchange: what begins one is the first bundle to the server behind its ambush.
    private func meetBundle(_ unit: CarrierUnit, at place: UnitPlace, _ ambush: inout Ambush) -> Bool {
        guard unit.kind == CarrierUnit.bundle else { return false }
        if ambush.victim == nil, place.direction == .toServer, !spoiled.withLock({ $0.contains(place.carrier) }) {
            ambush.victim = (place.carrier, 0)
        }
        guard let victim = ambush.victim, victim.carrier == place.carrier else { return false }
        let index = ambush.bundles[place.direction, default: 0]
        ambush.bundles[place.direction] = index + 1
        ambush.applied = place.direction == ambush.sweepCase.direction && index == ambush.sweepCase.unit
        if ambush.applied, ambush.sweepCase.consequence != .harmless {
            _ = spoiled.withLock { $0.insert(place.carrier) }
        }
        return true
    }

    private func judge(_ done: Done) -> [String] {
        let visits = rig.service.visits(of: done.exchange)
        var faults: [String] = []
        // How many bundles an exchange takes depends on what meets in one turn; one each way it always has.
        if !done.applied, !isShared || done.sweepCase.unit == 0 { faults.append("never met its unit") }
        if let fault = done.received.fault(against: done.exchange.answer) { faults.append("application: \(fault)") }
        if done.received.end == .silence { faults.append("the application was left hanging") }
        if visits.count > 1 { faults.append("the service saw the exchange \(visits.count) times") }
        for visit in visits {
            if let fault = visit.fault(against: done.exchange.request) { faults.append("service: \(fault)") }
            if visit.end == .silence { faults.append("the service was left hanging") }
        }
        let receivers = done.sweepCase.direction == .toServer ? visits : [done.received]
        switch done.applied ? done.sweepCase.consequence : .any {
        case .noOrderlyEnd:
            // An exchange whose OPEN did not reach the server begins anew on another carrier: whole, and once.
            let beganAnew =
                done.sweepCase.direction == .toServer && done.received.isWhole(done.exchange.answer)
                && visits.count == 1 && visits[0].isWhole(done.exchange.request)
            if !beganAnew, receivers.contains(where: { $0.end == .orderly }) {
                faults.append("an orderly end was seen")
            }
        case .harmless:
            if !done.received.isWhole(done.exchange.answer) {
                faults.append("application: ended with \(done.received)")
            }
            if !visits.allSatisfy({ $0.isWhole(done.exchange.request) }) {
                faults.append("service: ended with \(visits)")
            }
        case .any: break
        }
        return faults.map { "lane \(done.lane), \(done.sweepCase): \($0)" }
    }
}
