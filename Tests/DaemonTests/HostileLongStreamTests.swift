// Longer streams, whose entropy is renewed every few frames, with one manipulation each at a place chosen at
// random: among the frames of the stream or among those of REKEY.

import Synchronization
import Testing

extension OneAtATime {
    @Suite("Long streams under manipulation")
    struct HostileLongStreamTests {
        /// What is done to one stream. Described well enough to be done again.
        private struct Attack: Sendable, CustomStringConvertible {
            let direction: CarrierDirection
            /// Counts only REKEY frames.
            let aimsAtRekey: Bool
            /// How many units of the direction, or REKEY frames, pass before it.
            var passing: Int
            let manipulation: @Sendable (CarrierUnit) -> Manipulation
            let description: String

            static func random() -> Attack {
                let direction = CarrierDirection.allCases.randomElement()!
                let aimsAtRekey = Bool.random()
                let passing = Int.random(in: 0..<(aimsAtRekey ? 3 : 8))
                let place = Int.random(in: 0..<1 << 20)
                let kinds: [(String, @Sendable (CarrierUnit) -> Manipulation)] = [
                    ("flip", { .flip(offset: place % $0.bytes.count, mask: 1 << (place % 8)) }),
                    ("cut by FIN", { .truncate(keeping: place % $0.bytes.count, .fin) }),
                    ("cut by RST", { .truncate(keeping: place % $0.bytes.count, .reset) }),
                    ("insert", { .insert([1, 2, 3], offset: place % $0.bytes.count) }),
                    ("drop", { _ in .drop }), ("double", { _ in .duplicate }), ("swap", { _ in .swapWithNext }),
                    ("reflect", { _ in .reflect(alsoForward: true) }), ("delay", { _ in .delay(milliseconds: 20) }),
                ]
                let (name, manipulation) = kinds.randomElement()!
                return Attack(
                    direction: direction, aimsAtRekey: aimsAtRekey, passing: passing, manipulation: manipulation,
                    description: "\(name) at \(place), \(direction), \(aimsAtRekey ? "REKEY" : "unit") \(passing)")
            }
        }

        /// The attacks of all lanes: each waits for the next stream.
        private final class Attacks: Sendable {
            private struct Lane {
                var attack: Attack?
                var carrier: Int?
            }
            private let lanes: Mutex<[Lane]>
            let applied = Atomic<Int>(0)
            let onRekey = Atomic<Int>(0)

            init(lanes count: Int) { lanes = Mutex(Array(repeating: Lane(), count: count)) }

            func lay(_ attack: Attack, on lane: Int) { lanes.withLock { $0[lane] = Lane(attack: attack) } }

            func meet(_ unit: CarrierUnit, at place: UnitPlace) -> Verdict {
                let manipulation: Manipulation? = lanes.withLock { lanes in
                    guard let attack = lanes[place.lane].attack else { return nil }
                    if lanes[place.lane].carrier == nil && unit.kind == CarrierUnit.open {
                        lanes[place.lane].carrier = place.carrier
                    }
                    guard lanes[place.lane].carrier == place.carrier, attack.direction == place.direction,
                        !attack.aimsAtRekey || unit.kind == CarrierUnit.rekey
                    else { return nil }
                    guard attack.passing == 0 else {
                        lanes[place.lane].attack!.passing -= 1
                        return nil
                    }
                    lanes[place.lane].attack = nil
                    return attack.manipulation(unit)
                }
                guard let manipulation else { return .pass(unit) }
                applied.add(1, ordering: .relaxed)
                if unit.kind == CarrierUnit.rekey { onRekey.add(1, ordering: .relaxed) }
                return manipulation.verdict(on: unit)
            }
        }

        @Test("One manipulation anywhere in a stream that renews its entropy: a prefix arrives, and never a false end")
        func attacks() async throws {
            let (lanes, size, streams) = (8, 200_000, 240)
            try await withScene { scene in
                let rig = try await HostileRig.start(in: scene, lanes: lanes, size: size) {
                    $0.rekey = "{frames: 16, bytes: 64KiB, every: 15m}"
                }
                rig.tap.stopRecording()
                try await rig.expectAlive()
                let attacks = Attacks(lanes: lanes)
                rig.tap.setPolicy { attacks.meet($0, at: $1) }
                let plans = (0..<streams).map { _ in Attack.random() }
                let next = Ticket()
                let faults = Inbox<String>()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in rig.lanes {
                        group.addTask {
                            try await onThread {
                                while let attack = next.take(from: plans) {
                                    attacks.lay(attack, on: lane.number)
                                    let exchange = SmallExchange(size: size)
                                    let received = try exchange.perform(through: lane.endpoint)
                                    if received.end == .silence { faults.put("\(attack): left hanging") }
                                    if let fault = received.fault(against: exchange.answer) {
                                        faults.put("\(attack): application: \(fault)")
                                    }
                                    for visit in rig.service.visits(of: exchange) {
                                        if let fault = visit.fault(against: exchange.request) {
                                            faults.put("\(attack): service: \(fault)")
                                        }
                                    }
                                }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let all = faults.takeAll()
                #expect(all.isEmpty, "\(all.count) faults:\n\(all.prefix(20).joined(separator: "\n"))")
                #expect(attacks.applied.load(ordering: .relaxed) > streams / 2)
                #expect(attacks.onRekey.load(ordering: .relaxed) > streams / 10)
                try await rig.expectAlive()
            }
        }
    }
}
