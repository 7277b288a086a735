// Every manipulation of the handshakes between two daemons. A carrier whose handshake was touched must
// never carry anything, and the client must come through by itself afterwards.

import Testing

extension OneAtATime {
    @Suite("Handshakes under manipulation")
    struct HostileHandshakeTests {
        /// Handshake messages and confirmations with their sizes, by how the carrier comes about.
        private static let messages: [HandshakeCase.Opening: [(CarrierUnit.Kind, CarrierDirection, size: Int)]] = [
            .resumption: [
                (CarrierUnit.resume, .toServer, 104), (CarrierUnit.accept, .toClient, 68),
                (CarrierUnit.confirm, .toServer, 32),
            ],
            .pairing: [
                (CarrierUnit.pair, .toServer, 1324), (CarrierUnit.paired, .toClient, 1196),
                (CarrierUnit.confirm, .toServer, 32), (CarrierUnit.confirmed, .toClient, 32),
            ],
        ]

        private func sweep(_ cases: [HandshakeCase], lanes: Int = 24) async throws {
            try await withScene { scene in
                let rig = try await HostileRig.start(in: scene, lanes: lanes)
                try await rig.expectAlive()
                let faults = try await HandshakeSweep(on: rig).run(cases)
                #expect(faults.isEmpty, "\(faults.count) faults:\n\(faults.prefix(40).joined(separator: "\n"))")
                expectNoFragments(rig.service)
                try await rig.expectAlive()
            }
        }

        private static func cases(
            _ opening: HandshakeCase.Opening, _ make: (CarrierUnit.Kind, CarrierDirection, Int) -> [Manipulation]
        ) -> [HandshakeCase] {
            messages[opening]!.flatMap { kind, direction, size in
                make(kind, direction, size).map { HandshakeCase(opening, kind, direction, $0) }
            }
        }

        @Test(
            "A flipped bit at any offset of RESUME, ACCEPT or CONFIRM yields no carrier, and the client resumes again")
        func resumptionFlips() async throws {
            try await sweep(
                Self.cases(.resumption) { _, _, size in (0..<size).map { .flip(offset: $0, mask: 1 << ($0 % 8)) } })
        }

        @Test("A resumption cut at any offset, by FIN or by RST, yields no carrier, and the client resumes again")
        func resumptionTruncations() async throws {
            try await sweep(
                Self.cases(.resumption) { _, _, size in
                    (0..<size).flatMap { [.truncate(keeping: $0, .fin), .truncate(keeping: $0, .reset)] }
                })
        }

        @Test(
            "A flipped bit anywhere in PAIRED, CONFIRM or CONFIRMED yields no conversation, and the client pairs again"
        )
        func pairingFlips() async throws {
            try await sweep(
                Self.cases(.pairing) { kind, _, size in
                    // What the server does with a changed PAIR is told by the tests of strangers, offset by offset. Of
                    // PAIRED each field is met many times: a client that fails to pair waits before it tries again.
                    stride(from: 0, to: size, by: kind == CarrierUnit.pair ? 32 : size > 32 ? 7 : 1)
                        .map { .flip(offset: $0, mask: 1 << ($0 % 8)) }
                })
        }

        @Test("A pairing cut anywhere, by FIN or by RST, yields no conversation, and the client pairs again")
        func pairingTruncations() async throws {
            try await sweep(
                Self.cases(.pairing) { _, _, size in
                    stride(from: 0, to: size, by: size > 32 ? 7 : 1)
                        .map { .truncate(keeping: $0, $0 % 2 == 0 ? .fin : .reset) }
                })
        }

        @Test("Handshake messages dropped, doubled, delayed, reflected, replayed and spliced: the client comes through")
        func rearrangements() async throws {
            try await sweep(
                Self.messages.flatMap { opening, messages in
                    messages.flatMap { kind, direction, _ in
                        [Manipulation.drop, .duplicate, .delay(milliseconds: 100), .insert([0], offset: 0)].map {
                            HandshakeCase(opening, kind, direction, $0)
                        } + [true, false].map { HandshakeCase(opening, kind, direction, .reflect(alsoForward: $0)) }
                            + Self.replays(opening, kind, direction)
                    }
                })
        }

        /// Messages that were genuine on another carrier.
        private static func replays(
            _ opening: HandshakeCase.Opening, _ kind: CarrierUnit.Kind, _ direction: CarrierDirection
        ) -> [HandshakeCase] {
            let replayed = CarrierUnit.Kind.allHandshake.filter { $0 != kind } + [kind]
            return replayed.map { other in
                HandshakeCase(opening, kind, direction, name: "\(other) of another carrier in its place") {
                    _, place, tap in
                    let elsewhere = tap.recorded.enumerated().filter { $0.offset != place.carrier }
                    let units = elsewhere.flatMap { $0.element.values.flatMap { $0 } }
                    return Verdict(forward: units.last { $0.kind == other }?.bytes ?? [0x4F, 0x57, 1, 5])
                }
            }
        }
    }
}

extension CarrierUnit.Kind {
    static let allHandshake: [Self] = (1...5).map { .handshake($0) }
}
