// The five handshake messages: lengths, preambles, fields.

import Testing

@testable import Wire

@Suite("Handshake messages")
struct HandshakeMessageTests {
    @Test("Sizes and preambles are those of the protocol")
    func table() {
        let sizes: [(HandshakeKind, UInt8, Int)] = [
            (.pair, 1, 1324), (.paired, 2, 1196), (.resume, 3, 104), (.accept, 4, 68), (.reject, 5, 4),
        ]
        #expect(HandshakeKind.allCases.count == sizes.count)
        for (kind, number, size) in sizes {
            #expect(HandshakeMessage.size(of: kind) == size)
            #expect(HandshakeMessage.preamble(of: kind) == [0x4F, 0x57, 0x01, number])
        }
        #expect(HandshakeMessage.reject == [0x4F, 0x57, 0x01, 0x05])
    }

    @Test("Exactly five preambles have a kind")
    func preambles() {
        for kind in HandshakeKind.allCases {
            #expect(throws: Never.self) { try HandshakeMessage.kind(ofPreamble: HandshakeMessage.preamble(of: kind)) }
            let longer = HandshakeMessage.preamble(of: kind) + [9, 9]
            #expect((try? HandshakeMessage.kind(ofPreamble: longer)) == kind)
            #expect((try? longer.withUnsafeBytes { try HandshakeMessage.kind(ofPreamble: $0) }) == kind)
            #expect((try? HandshakeMessage.kind(ofPreamble: ([7] + longer).dropFirst())) == kind)
        }
        for byte in UInt8.min...UInt8.max {
            #expect(
                (try? HandshakeMessage.kind(ofPreamble: [0x4F, 0x57, 1, byte]))?.rawValue
                    == (1...5 ~= byte ? byte : nil))
            if byte != 1 {
                #expect(throws: WireError.unsupportedVersion(byte)) {
                    try HandshakeMessage.kind(ofPreamble: [0x4F, 0x57, byte, 1])
                }
            }
            if byte != 0x4F {
                #expect(throws: WireError.notOncewire) { try HandshakeMessage.kind(ofPreamble: [byte, 0x57, 1, 1]) }
            }
            if byte != 0x57 {
                #expect(throws: WireError.notOncewire) { try HandshakeMessage.kind(ofPreamble: [0x4F, byte, 1, 1]) }
            }
        }
        #expect(throws: WireError.unknownHandshakeKind(6)) {
            try HandshakeMessage.kind(ofPreamble: [0x4F, 0x57, 1, 6])
        }
        for count in 0..<4 {
            #expect(throws: WireError.wrongLength(expected: 4, received: count)) {
                try HandshakeMessage.kind(ofPreamble: [0x4F, 0x57, 1, 1].prefix(count))
            }
        }
    }

    @Test("A message parses only with its own kind and length, and keeps its bytes", arguments: HandshakeKind.allCases)
    func parsing(kind: HandshakeKind) throws {
        let parsers: [(HandshakeKind, @Sendable ([UInt8]) throws(WireError) -> [UInt8])] = [
            (.pair, { (bytes) throws(WireError) in try PairMessage(parsing: bytes).bytes }),
            (.paired, { (bytes) throws(WireError) in try PairedMessage(parsing: bytes).bytes }),
            (.resume, { (bytes) throws(WireError) in try ResumeMessage(parsing: bytes).bytes }),
            (.accept, { (bytes) throws(WireError) in try AcceptMessage(parsing: bytes).bytes }),
        ]
        var noise = Noise(state: 3)
        let size = HandshakeMessage.size(of: kind)
        let message = HandshakeMessage.preamble(of: kind) + noise.bytes(size - 4)
        for (expected, parse) in parsers {
            if expected == kind {
                #expect(try parse(message) == message)
                for count in 0..<size { #expect(throws: WireError.self) { try parse([UInt8](message[..<count])) } }
                #expect(throws: WireError.wrongLength(expected: size, received: size + 1)) { try parse(message + [0]) }
            } else {
                #expect(throws: WireError.unexpectedHandshakeKind(kind)) { try parse(message) }
            }
        }
    }

    @Test("PAIR and PAIRED are put together from the fields they are taken apart into")
    func pairing() throws {
        var noise = Noise(state: 4)
        let body = noise.bytes(PairMessage.noiseSize)
        let pair = PairMessage(noise: body) { covered in [UInt8](covered.suffix(16)) }
        #expect(PairMessage.noiseSize == 1304 && PairedMessage.noiseSize == 1192)
        #expect(pair.noise == body && pair.preamble == HandshakeMessage.preamble(of: .pair))
        #expect(pair.coveredByMac1 == HandshakeMessage.preamble(of: .pair) + body)
        #expect(pair.mac1 == [UInt8](body.suffix(16)))
        #expect(try PairMessage(parsing: pair.bytes) == pair)

        let answer = noise.bytes(PairedMessage.noiseSize)
        let paired = PairedMessage(noise: answer)
        #expect(paired.noise == answer && paired.preamble == HandshakeMessage.preamble(of: .paired))
        #expect(try PairedMessage(parsing: paired.bytes) == paired)
    }

    @Test("RESUME and ACCEPT have their fields where the protocol says")
    func resume() throws {
        let resume = ResumeMessage(
            conversationID: [UInt8](repeating: 1, count: 16), epoch: 0x0203_0405,
            salt: [UInt8](repeating: 6, count: 16),
            ephemeral: [UInt8](repeating: 7, count: 32), commit: { [UInt8](repeating: UInt8($0.count), count: 16) },
            mac1: { [UInt8](repeating: UInt8($0.count), count: 16) })
        var expected: [UInt8] = [0x4F, 0x57, 1, 3] + [UInt8](repeating: 1, count: 16) + [2, 3, 4, 5]
        expected += [UInt8](repeating: 6, count: 16) + [UInt8](repeating: 7, count: 32)
        #expect(resume.coveredByCommit == expected)
        expected += [UInt8](repeating: 72, count: 16)
        #expect(resume.coveredByMac1 == expected)
        expected += [UInt8](repeating: 88, count: 16)
        #expect(resume.bytes == expected)
        let parsed = try ResumeMessage(parsing: expected)
        #expect(parsed == resume && parsed.epoch == 0x0203_0405)
        #expect(parsed.conversationID == [UInt8](repeating: 1, count: 16))
        #expect(parsed.salt == [UInt8](repeating: 6, count: 16) && parsed.ephemeral == [UInt8](repeating: 7, count: 32))
        #expect(parsed.commit == [UInt8](repeating: 72, count: 16) && parsed.mac1 == [UInt8](repeating: 88, count: 16))

        let covered = AcceptMessage.coveredByCommit(
            salt: [UInt8](repeating: 8, count: 16), ephemeral: [UInt8](repeating: 9, count: 32))
        let accept = AcceptMessage(coveredByCommit: covered, commit: [UInt8](repeating: 10, count: 16))
        #expect(accept.bytes.count == 68)
        let back = try AcceptMessage(parsing: accept.bytes)
        #expect(back == accept && back.coveredByCommit == covered && back.commit == [UInt8](repeating: 10, count: 16))
        #expect(back.salt == [UInt8](repeating: 8, count: 16) && back.ephemeral == [UInt8](repeating: 9, count: 32))
    }

    @Test("The payload of PAIR is one known pattern and zeros")
    func pairPayload() throws {
        let payload = PairPayload(pattern: .conversationOnceAndDone)
        #expect(payload.bytes == [1, 0, 0, 0, 0, 0, 0, 0])
        #expect(try PairPayload(parsing: payload.bytes) == payload)
        for byte in 0..<8 {
            for value in UInt8.min...UInt8.max where value != payload.bytes[byte] {
                var bytes = payload.bytes
                bytes[byte] = value
                #expect(throws: byte == 0 ? WireError.unknownPattern(value) : .reservedNotZero) {
                    try PairPayload(parsing: bytes)
                }
            }
        }
        for count in [0, 7, 9] {
            #expect(throws: WireError.wrongLength(expected: 8, received: count)) {
                try PairPayload(parsing: [UInt8](repeating: 0, count: count))
            }
        }
    }

    @Test("The payload of PAIRED keeps every value and refuses reserved bits")
    func pairedPayload() throws {
        let payload = PairedPayload(
            conversationID: [UInt8](0..<16), nonce: 0x1011_1213_1415_1617, epochSeconds: 0x1819_1A1B,
            idleSeconds: 0x1C1D_1E1F, lifetimeSeconds: 0x2021_2223)
        #expect(payload.bytes == [UInt8](0..<36) + [0, 0, 0, 0])
        #expect(try PairedPayload(parsing: payload.bytes) == payload)
        var noise = Noise(state: 5)
        for _ in 0..<200 {
            let bytes = noise.bytes(36) + [0, 0, 0, 0]
            #expect(try PairedPayload(parsing: bytes).bytes == bytes)
        }
        for place in 36..<40 {
            var bytes = payload.bytes
            bytes[place] = 1
            #expect(throws: WireError.reservedNotZero) { try PairedPayload(parsing: bytes) }
        }
        for count in [0, 39, 41] {
            #expect(throws: WireError.wrongLength(expected: 40, received: count)) {
                try PairedPayload(parsing: [UInt8](repeating: 0, count: count))
            }
        }
    }
}
