// A firewall or a NAT between the daemons forgets the connections it knew and drops what comes on them, without a word;
// new ones pass. (The tap takes everything and passes nothing on, so not even TCP notices.)

import Synchronization
import Testing

@Suite("A way that forgets its connections", .timeLimit(.minutes(2)))
struct ForgottenPathTests {
    private func plan(_ carrier: String) -> (inout TunnelPlan) -> Void {
        {
            $0.heartbeat = "10s"
            $0.deadAfter = "30s"
            $0.carrier = carrier
            $0.pool = "{min-idle: 4, max-idle: 16}"
        }
    }

    /// From now on nothing passes on the carriers that are there, at least in this direction.
    private func forget(_ rig: HostileRig, only direction: CarrierDirection? = nil) {
        let known = rig.tap.recorded.count
        rig.tap.setPolicy { unit, place in
            guard place.carrier < known, direction == nil || direction == place.direction else { return .pass(unit) }
            return Manipulation.drop.verdict(on: unit)
        }
    }

    private func exchanges(_ rig: HostileRig, _ count: Int) async throws -> [(SmallExchange, Received)] {
        try await withThrowingTaskGroup(of: (SmallExchange, Received).self) { group in
            for _ in 0..<count {
                let exchange = SmallExchange()
                group.addTask {
                    (exchange, try await onThread { try exchange.perform(through: rig.lanes[0].endpoint) })
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test(
        "New connections are all served, each once, and long before a carrier counts as dead",
        arguments: ["shared", "own"])
    func forgotten(_ carrier: String) async throws {
        try await withScene { scene in
            let rig = try await HostileRig.start(in: scene, lanes: 1, change: plan(carrier))
            for (exchange, received) in try await exchanges(rig, 3) { #expect(received.isWhole(exchange.answer)) }
            // Every carrier has been quiet for longer than one is trusted unasked.
            try await quiet(rig, for: .milliseconds(1200))
            forget(rig)
            let start = ContinuousClock.now
            for (exchange, received) in try await exchanges(rig, 24) {
                #expect(received.isWhole(exchange.answer))
                #expect(rig.service.visits(of: exchange).count == 1)
            }
            #expect(ContinuousClock.now - start < .seconds(20), "the dead-peer time is 30 s")
        }
    }

    @Test(
        "Where requests arrive and answers do not, nothing reaches the service twice", arguments: ["shared", "own"])
    func answersLost(_ carrier: String) async throws {
        try await withScene { scene in
            let rig = try await HostileRig.start(
                in: scene, lanes: 1,
                change: {
                    plan(carrier)(&$0)
                    $0.deadAfter = "12s"
                })
            for (exchange, received) in try await exchanges(rig, 3) { #expect(received.isWhole(exchange.answer)) }
            try await quiet(rig, for: .milliseconds(1200))
            forget(rig, only: .toClient)
            for (exchange, received) in try await exchanges(rig, 8) {
                let visits = rig.service.visits(of: exchange).count
                #expect(visits <= 1)
                // Served on a fresh carrier, or begun on the old one, whose silence ends it.
                #expect(received.isWhole(exchange.answer) || received.end == .reset)
            }
            #expect(rig.service.mostVisits == 1)
            try await rig.expectAlive()
        }
    }

    /// Waits until nothing has passed the tap for `time`.
    private func quiet(_ rig: HostileRig, for time: Duration) async throws {
        var last = -1
        var since = ContinuousClock.now
        try await eventually("the carriers are quiet") {
            let now = rig.tap.recorded.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } }
            if now != last {
                last = now
                since = .now
            }
            return ContinuousClock.now - since > time
        }
    }
}
