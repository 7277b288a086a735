// Strangers at the server's door: not one byte back, closed by an absolute deadline, and nobody else
// suffers for them.

import Testing

extension OneAtATime {
    @Suite("Strangers")
    struct HostileStrangerTests {
        private static let deadlines =
            "{first-byte-timeout: 300ms, handshake-timeout: 600ms, "
            + "pairings-per-second: 10000, pairings-at-once: 10000}"

        /// A server with short deadlines, and what a genuine client said to it.
        private func withRecording(
            _ body: (HostileRig, _ pair: [UInt8], _ resume: [UInt8]) async throws -> Void
        ) async throws {
            try await withScene { scene in
                let rig = try await HostileRig.start(in: scene, lanes: 1) { $0.admission = Self.deadlines }
                try await rig.expectAlive()
                let messages = try await eventually("the client has paired and resumed") {
                    let said = rig.tap.recorded.flatMap { $0[.toServer] ?? [] }
                    let pair = said.first { $0.kind == CarrierUnit.pair }
                    let resume = said.first { $0.kind == CarrierUnit.resume }
                    return pair.flatMap { pair in resume.map { (pair.bytes, $0.bytes) } }
                }
                let before = rig.service.accepted
                try await body(rig, messages.0, messages.1)
                #expect(rig.service.accepted == before, "a stranger reached the target")
                try await rig.expectAlive()
            }
        }

        private func expectSilence(_ strangers: [Stranger], at rig: HostileRig) async throws {
            let faults = try await strangers.visit(rig.tunnel.serverEndpoint)
            #expect(faults.isEmpty, "\(faults.count) faults:\n\(faults.prefix(20).joined(separator: "\n"))")
        }

        @Test("Silence, noise, HTTP and TLS get no byte back and are closed by the deadline")
        func noise() async throws {
            try await withRecording { rig, _, _ in
                var strangers = [Stranger(name: "silence"), Stranger(name: "silence and FIN", then: .finish)]
                for count in [1, 2, 3, 4, 5, 15, 16, 103, 104, 105, 1323, 1324, 1325, 65536] {
                    let noise = (0..<count).map { _ in UInt8.random(in: 0...255) }
                    strangers.append(Stranger(name: "\(count) bytes of noise", says: noise))
                    strangers.append(Stranger(name: "\(count) bytes of noise and FIN", says: noise, then: .finish))
                    strangers.append(Stranger(name: "\(count) zeros", says: [UInt8](repeating: 0, count: count)))
                }
                strangers.append(Stranger(name: "HTTP", says: Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)))
                strangers.append(Stranger(name: "TLS", says: Self.tlsHello))
                try await expectSilence(strangers, at: rig)
            }
        }

        @Test("Well-formed first messages with a wrong mac1 get no byte back, whichever kind they name")
        func wrongMac() async throws {
            try await withRecording { rig, pair, resume in
                var strangers: [Stranger] = []
                for kind in UInt8.min...UInt8.max {
                    let body = [0x4F, 0x57, 1, kind] + (0..<1320).map { _ in UInt8.random(in: 0...255) }
                    strangers.append(Stranger(name: "kind \(kind)", says: body))
                }
                // Genuine messages, but of another version, or under another name.
                for (name, message) in [("PAIR", pair), ("RESUME", resume)] {
                    for offset in 0..<4 {
                        for bit in 0..<8 {
                            var changed = message
                            changed[offset] ^= 1 << bit
                            strangers.append(Stranger(name: "\(name), bit \(bit) of byte \(offset)", says: changed))
                        }
                    }
                }
                try await expectSilence(strangers, at: rig)
            }
        }

        @Test("A genuine PAIR with one bit flipped, at every offset, gets no byte back")
        func flippedPair() async throws {
            try await withRecording { rig, pair, _ in
                try await expectSilence(Self.flipped(pair, "PAIR"), at: rig)
            }
        }

        @Test("A genuine RESUME with one bit flipped, at every offset, gets no byte back")
        func flippedResume() async throws {
            try await withRecording { rig, _, resume in
                try await expectSilence(Self.flipped(resume, "RESUME"), at: rig)
            }
        }

        @Test("A genuine PAIR or RESUME that stops half-way gets no byte back, whether it waits or closes")
        func truncated() async throws {
            try await withRecording { rig, pair, resume in
                let cuts =
                    stride(from: 1, to: pair.count, by: 50).map { ("PAIR", Array(pair.prefix($0))) }
                    + (1..<resume.count).map { ("RESUME", Array(resume.prefix($0))) } + [("PAIR", pair.dropLast())]
                try await expectSilence(
                    cuts.flatMap { name, start in
                        [
                            Stranger(name: "\(name) up to \(start.count)", says: start),
                            Stranger(name: "\(name) up to \(start.count) and FIN", says: start, then: .finish),
                        ]
                    }, at: rig)
            }
        }

        @Test("A stranger that sends a byte at a time is closed by the absolute deadline")
        func slowLoris() async throws {
            try await withRecording { rig, pair, _ in
                // At 50 ms a byte the message would take more than a minute; the deadline is 600 ms.
                let server = rig.tunnel.serverEndpoint
                let sent = try await onThread {
                    let socket = try Socket.connect(to: server, timeout: .milliseconds(50))
                    for (number, byte) in pair.enumerated() {
                        guard (try? socket.send([byte])) != nil else { return number }
                        let received = socket.received()
                        try demand(received.bytes.isEmpty, "\(received.bytes.count) bytes came back")
                        if received.end != .silence { return number }
                    }
                    return pair.count
                }
                #expect(sent < 100)
            }
        }

        @Test("Five hundred strangers at once do not keep a new client out")
        func crowd() async throws {
            try await withScene { scene in
                _ = descriptorLimit
                let rig = try await HostileRig.start(in: scene, lanes: 1) {
                    $0.admission =
                        "{first-byte-timeout: 20s, handshake-timeout: 20s, "
                        + "pairings-per-second: 10000, pairings-at-once: 10000}"
                }
                let server = rig.tunnel.serverEndpoint
                // They stay for the whole test: some silent, some in the middle of a message.
                let crowd = try await onThread {
                    try (0..<500).map { number in
                        let socket = try Socket.connect(to: server)
                        try socket.send([UInt8]([0x4F, 0x57, 1, 1].prefix(number % 5)))
                        return socket
                    }
                }
                try await rig.tunnel.startClient()
                let endpoint = rig.tunnel.endpoint()
                let exchange = SmallExchange()
                let received = try await onThread { try exchange.perform(through: endpoint) }
                #expect(received.isWhole(exchange.answer))
                #expect(rig.tunnel.server.facts.openDescriptors > crowd.count)
                for stranger in crowd { stranger.close() }
                try await eventually("the server's descriptors return") {
                    rig.tunnel.server.facts.openDescriptors < 100
                }
                try await rig.expectAlive()
            }
        }

        private static func flipped(_ message: [UInt8], _ name: String) -> [Stranger] {
            message.indices.map { offset in
                var changed = message
                changed[offset] ^= 1 << (offset % 8)
                return Stranger(name: "\(name) with byte \(offset) changed", says: changed)
            }
        }

        /// The start of a TLS 1.2 ClientHello record.
        private static let tlsHello: [UInt8] =
            [0x16, 0x03, 0x01, 0x00, 0xC4, 0x01, 0x00, 0x00, 0xC0, 0x03, 0x03] + (0..<190).map { UInt8($0) }
    }
}
