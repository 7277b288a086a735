// Every manipulation of the bundles that carry a small exchange on a shared carrier, at every byte offset, both ways.

import Testing

extension OneAtATime {
    @Suite("Bundles under manipulation")
    struct HostileBundleTests {
        /// The longest bundle of an exchange: OPEN, DATA and FIN to the server.
        private static let longest = 16 + (12 + 48) + (12 + SmallExchange.size) + (12 + 8) + 16

        private func sweep(_ manipulations: [(Manipulation, SweepCase.Consequence)]) async throws {
            try await withScene { scene in
                let rig = try await HostileRig.start(in: scene, lanes: 12) { $0.carrier = "shared" }
                try await rig.expectAlive()
                let cases = CarrierDirection.allCases.flatMap { direction in
                    [0, 1].flatMap { unit in
                        manipulations.map { SweepCase(direction, unit: unit, $0.0, consequence: $0.1) }
                    }
                }
                let faults = try await Sweep(on: rig, shared: true).run(cases)
                #expect(faults.isEmpty, "\(faults.count) faults:\n\(faults.prefix(40).joined(separator: "\n"))")
                expectNoFragments(rig.service)
                try await rig.expectAlive()
            }
        }

        @Test("A flipped bit at any offset of any bundle: a prefix arrives, or all of it anew")
        func flips() async throws {
            try await sweep(
                (0..<8).map { (.flip(offset: 0, mask: 1 << $0), .noOrderlyEnd) }
                    + (1..<Self.longest).map { (.flip(offset: $0, mask: 1 << ($0 % 8)), .noOrderlyEnd) })
        }

        @Test("A carrier cut inside any bundle, by FIN or by RST: a prefix arrives, or all of it anew")
        func truncations() async throws {
            // The shortest bundle holds a FIN alone.
            try await sweep(
                (0..<16 + 20 + 16).map { (.truncate(keeping: $0, $0 % 2 == 0 ? .fin : .reset), .noOrderlyEnd) })
        }

        @Test("Garbage put in at any offset of any bundle: a prefix arrives, or all of it anew")
        func insertions() async throws {
            try await sweep(
                (0..<16 + 20 + 16).map { offset in
                    let garbage = (0...offset % 20).map { _ in UInt8.random(in: 0...255) }
                    return (.insert(garbage, offset: offset), .noOrderlyEnd)
                })
        }

        @Test("Bundles dropped, doubled, swapped, delayed and reflected: never more than was sent")
        func rearrangements() async throws {
            try await sweep(
                (0..<8).flatMap { _ in
                    [
                        (.drop, .noOrderlyEnd), (.duplicate, .any), (.swapWithNext, .noOrderlyEnd),
                        (.delay(milliseconds: 100), .harmless), (.reflect(alsoForward: true), .any),
                        (.reflect(alsoForward: false), .noOrderlyEnd),
                    ]
                })
        }
    }
}
