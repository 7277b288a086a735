// Every manipulation of the frames of a small exchange, at every byte offset or frame, both ways.

import Testing

extension OneAtATime {
    @Suite("Frames under manipulation")
    struct HostileFrameTests {
        /// Runs the cases made for the frames of an untouched exchange.
        private func sweep(lanes: Int = 12, _ cases: ([SweepSite]) -> [SweepCase]) async throws {
            try await withScene { scene in
                let rig = try await HostileRig.start(in: scene, lanes: lanes)
                try await rig.expectAlive()
                let faults = try await Sweep(on: rig).run(cases(try await sites(in: rig)))
                #expect(faults.isEmpty, "\(faults.count) faults:\n\(faults.prefix(40).joined(separator: "\n"))")
                expectNoFragments(rig.service)
                try await rig.expectAlive()
            }
        }

        /// The frames of an exchange that nobody touches, from the recording.
        private func sites(in rig: HostileRig) async throws -> [SweepSite] {
            let seen = Inbox<(place: UnitPlace, unit: CarrierUnit)>()
            rig.tap.setPolicy { unit, place in
                if place.indexInStream != nil && place.lane == 0 { seen.put((place, unit)) }
                return .pass(unit)
            }
            let endpoint = rig.lanes[0].endpoint
            let exchange = SmallExchange()
            let received = try await onThread { try exchange.perform(through: endpoint) }
            #expect(received.isWhole(exchange.answer))
            // The carrier's next stream shows that the first one is over.
            let another = SmallExchange()
            #expect(try await onThread { try another.perform(through: endpoint) }.isWhole(another.answer))
            let all = seen.takeAll()
            let first = all.filter {
                $0.place.carrier == all[0].place.carrier && $0.place.stream == all[0].place.stream
            }
            var sites: [SweepSite] = []
            for direction in CarrierDirection.allCases {
                let frames = first.filter { $0.place.direction == direction }
                let fin = try #require(frames.firstIndex { $0.unit.kind == CarrierUnit.fin })
                for (number, frame) in frames.enumerated() {
                    sites.append(
                        SweepSite(
                            direction: direction, unit: frame.place.indexInStream!, kind: frame.unit.kind,
                            size: frame.unit.bytes.count, isBehindFin: number > fin))
                }
            }
            // One write is one DATA frame, and its end follows at once.
            #expect(sites.filter { $0.direction == .toServer }.map(\.kind) == [.frame(1), .frame(2), .frame(3)])
            #expect(
                sites.filter { $0.direction == .toClient && !$0.isBehindFin }.map(\.kind).suffix(2) == [
                    .frame(2), .frame(3),
                ])
            return sites
        }

        @Test("A flipped bit at any offset of any frame: a prefix arrives, or all of it anew")
        func flips() async throws {
            try await sweep { sites in
                sites.flatMap { site in
                    // Every bit of the type, so that each type is tried as each other; one bit elsewhere.
                    (0..<8).map { SweepCase(site, .flip(offset: 0, mask: 1 << $0)) }
                        + (1..<site.size).map { SweepCase(site, .flip(offset: $0, mask: 1 << ($0 % 8))) }
                }
            }
        }

        @Test("A carrier cut at any offset of any frame, by FIN or by RST: a prefix arrives, or all of it anew")
        func truncations() async throws {
            try await sweep { sites in
                sites.flatMap { site in
                    (0..<site.size).flatMap { count in
                        [Verdict.Ending.fin, .reset].map { SweepCase(site, .truncate(keeping: count, $0)) }
                    }
                }
            }
        }

        @Test("Garbage put in at any offset of any frame: a prefix arrives, or all of it anew")
        func insertions() async throws {
            try await sweep { sites in
                sites.flatMap { site in
                    (0..<site.size).map { offset in
                        let garbage = (0...offset % 20).map { _ in UInt8.random(in: 0...255) }
                        return SweepCase(site, .insert(garbage, offset: offset))
                    }
                }
            }
        }

        @Test("Frames dropped, doubled, swapped, delayed, reflected, replayed and spliced: never more than was sent")
        func rearrangements() async throws {
            try await sweep { sites in
                sites.flatMap { site in
                    [
                        SweepCase(site, .drop),
                        // The second FIN comes when everything is delivered.
                        SweepCase(site, .duplicate, consequence: site.kind == CarrierUnit.fin ? .any : nil),
                        SweepCase(site, .swapWithNext),
                        SweepCase(site, .delay(milliseconds: 100), consequence: .harmless),
                        SweepCase(site, .reflect(alsoForward: true), consequence: .any),
                        SweepCase(site, .reflect(alsoForward: false)),
                    ] + Self.replays(at: site)
                }
            }
        }

        /// Bytes that were genuine once, or are elsewhere.
        private static func replays(at site: SweepSite) -> [SweepCase] {
            let (direction, unit) = (site.direction, site.unit)
            let consequence = site.isBehindFin ? SweepCase.Consequence.any : .noOrderlyEnd
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
                    SweepCase(direction, unit: unit, name: "\(name) sent before it", consequence: consequence) {
                        unit, place, tap in
                        Verdict(forward: source(place, unit, tap) + unit.bytes)
                    },
                    SweepCase(direction, unit: unit, name: "\(name) in its place", consequence: consequence) {
                        unit, place, tap in
                        Verdict(forward: source(place, unit, tap))
                    },
                ]
            }
        }
    }
}
