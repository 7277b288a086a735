// Every manipulation of the frames of a small exchange, at every byte offset or frame, both ways.

import Testing

@Suite("Frames under manipulation", .serialized, .timeLimit(.minutes(3)))
struct HostileFrameTests {
    /// The frames of a small exchange, as everybody on the wire sees them.
    static let frames: [CarrierDirection: [CarrierUnit.Kind]] = [
        .toServer: [CarrierUnit.open, CarrierUnit.data, CarrierUnit.fin],
        .toClient: [CarrierUnit.opened, CarrierUnit.data, CarrierUnit.fin],
    ]

    /// Runs the cases made from the sizes of the units of an untouched exchange.
    private func sweep(
        lanes: Int = 12, _ cases: ([(direction: CarrierDirection, unit: Int, size: Int)]) -> [SweepCase]
    ) async throws {
        try await withScene { scene in
            let rig = try await HostileRig.start(in: scene, lanes: lanes)
            try await rig.expectAlive()
            let faults = try await Sweep(on: rig).run(cases(try await layout(of: rig)))
            #expect(faults.isEmpty, "\(faults.count) faults:\n\(faults.prefix(40).joined(separator: "\n"))")
            #expect(rig.service.fragments.allSatisfy { $0.bytes.isEmpty && $0.end != .orderly })
            try await rig.expectAlive()
        }
    }

    /// The frames of an exchange that nobody touches, from the recording.
    private func layout(of rig: HostileRig) async throws -> [(direction: CarrierDirection, unit: Int, size: Int)] {
        let seen = Inbox<(place: UnitPlace, unit: CarrierUnit)>()
        rig.tap.setPolicy { unit, place in
            if place.stream > 0 && place.lane == 0 && !unit.isHeartbeat { seen.put((place, unit)) }
            return .pass(unit)
        }
        let endpoint = rig.lanes[0].endpoint
        let exchange = SmallExchange()
        let received = try await onThread { try exchange.perform(through: endpoint) }
        #expect(received.isWhole(exchange.answer))
        try await eventually("all frames of the exchange have passed") { seen.count == 6 }
        let all = seen.takeAll()
        for direction in CarrierDirection.allCases {
            #expect(all.filter { $0.place.direction == direction }.map(\.unit.kind) == Self.frames[direction])
        }
        return all.map { ($0.place.direction, $0.place.indexInStream, $0.unit.bytes.count) }
    }

    @Test("A flipped bit at any offset of any frame: a prefix arrives, never an orderly end")
    func flips() async throws {
        try await sweep { units in
            units.flatMap { direction, unit, size in
                // Every bit of the type, so that each type is tried as each other; one bit elsewhere.
                (0..<8).map { SweepCase(direction, unit: unit, .flip(offset: 0, mask: 1 << $0)) }
                    + (1..<size).map { SweepCase(direction, unit: unit, .flip(offset: $0, mask: 1 << ($0 % 8))) }
            }
        }
    }

    @Test("A carrier cut at any offset of any frame, by FIN or by RST: a prefix arrives, never an orderly end")
    func truncations() async throws {
        try await sweep { units in
            units.flatMap { direction, unit, size in
                (0..<size).flatMap { count in
                    [Verdict.Ending.fin, .reset].map { SweepCase(direction, unit: unit, .truncate(keeping: count, $0)) }
                }
            }
        }
    }

    @Test("Garbage put in at any offset of any frame: a prefix arrives, never an orderly end")
    func insertions() async throws {
        try await sweep { units in
            units.flatMap { direction, unit, size in
                (0..<size).map { offset in
                    let garbage = (0...offset % 20).map { _ in UInt8.random(in: 0...255) }
                    return SweepCase(direction, unit: unit, .insert(garbage, offset: offset))
                }
            }
        }
    }

    @Test("Frames dropped, doubled, swapped, delayed, reflected, replayed and spliced: never more than was sent")
    func rearrangements() async throws {
        try await sweep { units in
            units.flatMap { direction, unit, _ in
                let isLast = unit == 2
                return [
                    SweepCase(direction, unit: unit, .drop),
                    SweepCase(direction, unit: unit, .duplicate, consequence: isLast ? .any : .noOrderlyEnd),
                    SweepCase(direction, unit: unit, .swapWithNext),
                    SweepCase(direction, unit: unit, .delay(milliseconds: 100), consequence: .harmless),
                    SweepCase(direction, unit: unit, .reflect(alsoForward: true), consequence: .any),
                    SweepCase(direction, unit: unit, .reflect(alsoForward: false)),
                ] + Self.replays(direction, unit)
            }
        }
    }

    /// Bytes that were genuine once, or are elsewhere.
    private static func replays(_ direction: CarrierDirection, _ unit: Int) -> [SweepCase] {
        typealias Source = @Sendable (UnitPlace, CarrierUnit, HostileTap) -> [UInt8]
        // The recording holds the unit itself last.
        let previous: Source = { place, _, tap in
            tap.recorded(carrier: place.carrier, place.direction).dropLast().last?.bytes ?? []
        }
        let handshake: Source = { place, _, tap in tap.recorded(carrier: place.carrier, place.direction)[0].bytes }
        let fromTheStart: Source = { place, _, tap in
            tap.recorded(carrier: place.carrier, place.direction).flatMap(\.bytes)
        }
        let otherCarrier: Source = { place, _, tap in
            let other = tap.recorded.indices.last {
                $0 != place.carrier && !tap.recorded(carrier: $0, direction).isEmpty
            }
            return tap.recorded(carrier: other ?? 0, direction).flatMap(\.bytes)
        }
        let sameFrameElsewhere: Source = { place, unit, tap in
            let others = tap.recorded.enumerated().filter { $0.offset != place.carrier }
            let index = tap.recorded(carrier: place.carrier, direction).count - 1
            let atIndex = others.compactMap { carrier in
                carrier.element[direction].flatMap { $0.indices.contains(index) ? $0[index] : nil }
            }
            let same = atIndex.last { $0.kind == unit.kind }
            let alike = others.compactMap { $0.element[direction]?.last { $0.kind == unit.kind } }.last
            return (same ?? alike)?.bytes ?? []
        }
        let otherDirection: Source = { place, _, tap in
            tap.recorded(carrier: place.carrier, direction.opposite).last?.bytes ?? []
        }
        let sources: [(String, Source)] = [
            ("the frame before it", previous), ("the handshake", handshake), ("the whole direction", fromTheStart),
            ("another carrier's bytes", otherCarrier), ("the same frame of another carrier", sameFrameElsewhere),
            ("the last frame of the other direction", otherDirection),
        ]
        return sources.flatMap { name, source in
            [
                SweepCase(direction, unit: unit, name: "\(name) sent before it") { unit, place, tap in
                    Verdict(forward: source(place, unit, tap) + unit.bytes)
                },
                SweepCase(direction, unit: unit, name: "\(name) in its place") { unit, place, tap in
                    Verdict(forward: source(place, unit, tap))
                },
            ]
        }
    }
}
