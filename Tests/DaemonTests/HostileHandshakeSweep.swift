// Manipulates handshakes: makes a lane's client open a new carrier, falls upon it, and sees whether the
// client comes through all the same.

import Glibc
import Synchronization

/// What an attacker does to one handshake.
struct HandshakeCase: Sendable, CustomStringConvertible {
    /// How the carrier comes about. A pairing is forced by answering RESUME with REJECT, which anybody can.
    enum Opening: Sendable { case pairing, resumption }

    let opening: Opening
    let kind: CarrierUnit.Kind
    let direction: CarrierDirection
    let name: String
    /// Whether the next exchange must succeed. It need not where the client believes that the carrier is open, and
    /// learns the truth only with the stream.
    var mustRecover = true
    let verdict: @Sendable (CarrierUnit, UnitPlace, HostileTap) -> Verdict

    init(
        _ opening: Opening, _ kind: CarrierUnit.Kind, _ direction: CarrierDirection, name: String,
        verdict: @escaping @Sendable (CarrierUnit, UnitPlace, HostileTap) -> Verdict
    ) {
        (self.opening, self.kind, self.direction, self.name, self.verdict) = (opening, kind, direction, name, verdict)
        mustRecover = opening == .pairing || kind != CarrierUnit.confirm
    }

    init(
        _ opening: Opening, _ kind: CarrierUnit.Kind, _ direction: CarrierDirection, _ manipulation: Manipulation
    ) {
        self.init(opening, kind, direction, name: "\(manipulation)") { unit, _, _ in manipulation.verdict(on: unit) }
        // The client got what it waited for; only then one of the ends gets something more.
        let isAddition = [.duplicate, .reflect(alsoForward: true)].contains(manipulation)
        if isAddition && (opening == .resumption || kind == CarrierUnit.confirmed) { mustRecover = false }
    }

    var description: String { "\(opening), \(kind) \(direction): \(name)" }
}

final class HandshakeSweep: Sendable {
    private struct Ambush {
        let handshake: HandshakeCase
        var carrier: Int?
        var applied = false
    }

    private let rig: HostileRig
    private let ambushes: Mutex<[Ambush?]>
    private let next = Ticket()
    private let faults = Inbox<String>()

    init(on rig: HostileRig) {
        self.rig = rig
        ambushes = Mutex(Array(repeating: nil, count: rig.lanes.count))
    }

    /// Runs every case; returns what was wrong, one line a fault.
    func run(_ cases: [HandshakeCase]) async throws -> [String] {
        rig.tap.setPolicy { [self] unit, place in meet(unit, at: place) }
        defer { rig.tap.passEverything() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in rig.lanes {
                group.addTask {
                    try await onThread {
                        while let handshake = self.next.take(from: cases) { try self.run(handshake, on: lane) }
                    }
                }
            }
            try await group.waitForAll()
        }
        try await eventually("the service's connections end") { rig.service.active == 0 }
        return faults.takeAll()
    }

    private func run(_ handshake: HandshakeCase, on lane: HostileRig.Lane) throws {
        ambushes.withLock { $0[lane.number] = Ambush(handshake: handshake) }
        defer { ambushes.withLock { $0[lane.number] = nil } }
        guard provoke(on: lane) else { return faults.put("lane \(lane.number), \(handshake): no such handshake came") }
        let exchange = SmallExchange()
        let received = try exchange.perform(through: lane.endpoint)
        if let fault = received.fault(against: exchange.answer) { faults.put("\(handshake): \(fault)") }
        if received.end == .silence { faults.put("\(handshake): the application was left hanging") }
        if handshake.mustRecover && !received.isWhole(exchange.answer) {
            faults.put("lane \(lane.number), \(handshake): the next exchange ended with \(received)")
        }
        let visits = rig.service.visits(of: exchange)
        if visits.count > 1 { faults.put("\(handshake): the service saw the exchange \(visits.count) times") }
    }

    /// Cuts the lane's carriers until the client has opened one in the way of the case. More than once: a client that
    /// was pairing anyway, because of the case before, fills its pool without the resumption that is waited for.
    private func provoke(on lane: HostileRig.Lane) -> Bool {
        let deadline = ContinuousClock.now + patience
        while ContinuousClock.now < deadline {
            rig.tap.breakCarriers(of: lane.number)
            for _ in 0..<500 {
                if ambushes.withLock({ $0[lane.number]!.applied }) { return true }
                usleep(2000)
            }
        }
        return false
    }

    /// On the tap's thread.
    private func meet(_ unit: CarrierUnit, at place: UnitPlace) -> Verdict {
        let fallsOn: HandshakeCase? = ambushes.withLock { ambushes in
            guard var ambush = ambushes[place.lane], !ambush.applied else { return nil }
            let opener = ambush.handshake.opening == .pairing ? CarrierUnit.pair : CarrierUnit.resume
            if unit.kind == opener && place.index == 0 { ambush.carrier = place.carrier }
            ambush.applied =
                ambush.carrier == place.carrier && ambush.handshake.kind == unit.kind
                && ambush.handshake.direction == place.direction
            ambushes[place.lane] = ambush
            return ambush.applied || unit.kind == CarrierUnit.resume ? ambush.handshake : nil
        }
        guard let fallsOn else { return .pass(unit) }
        if fallsOn.opening == .pairing && unit.kind == CarrierUnit.resume {
            return Verdict(forward: [], back: [0x4F, 0x57, 1, 5])
        }
        guard fallsOn.kind == unit.kind && fallsOn.direction == place.direction else { return .pass(unit) }
        return fallsOn.verdict(unit, place, rig.tap)
    }
}
