// The records of a bundle: known answers, then every kind, every length and every place to end.

import Testing
import Wire

@Suite("Records of a bundle")
struct RecordHeaderTests {
    /// The payload lengths that are legal, by kind.
    private let legal: [RecordKind: Set<Int>] = [
        .open: Set(33...95), .data: Set(1...16384), .fin: [8], .refused: [1], .abort: [1], .credit: [8], .heavy: [0],
    ]

    @Test("A record's header is laid out as the protocol says")
    func layout() throws {
        let header = RecordHeader(kind: .data, length: 0x1234, stream: 0x0102_0304_0506_0708)
        #expect(header.bytes == [2, 0, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try RecordHeader(header.bytes + [UInt8](repeating: 7, count: 0x1234)) == header)
        #expect(RecordHeader.size == 12 && RecordHeader.maxData == 16384 && RecordHeader.window == 65536)
    }

    @Test("Kinds have the numbers of the protocol, those of the frame types that mean the same")
    func kinds() {
        #expect(RecordKind.allCases.map(\.rawValue) == [1, 2, 3, 5, 6, 7, 8])
        for (kind, type) in [
            (RecordKind.open, FrameType.open), (.data, .data), (.fin, .fin), (.refused, .refused), (.abort, .abort),
        ] { #expect(kind.rawValue == type.rawValue) }
    }

    @Test("Each kind has exactly its legal lengths", arguments: RecordKind.allCases)
    func lengths(_ kind: RecordKind) throws {
        let payload = [UInt8](repeating: 0, count: 17_000)
        for length in Array(0...200) + Array(16_300...16_500) {
            let isLegal = legal[kind]!.contains(length)
            #expect(kind.allows(length: length) == isLegal)
            let bytes = header(kind.rawValue, length, 1) + payload
            if isLegal {
                #expect(try RecordHeader(bytes) == RecordHeader(kind: kind, length: length, stream: 1))
            } else {
                #expect(throws: WireError.illegalRecordLength(kind, length)) { try RecordHeader(bytes) }
            }
        }
        #expect(!kind.allows(length: -1) && !kind.allows(length: .max) && !kind.allows(length: 65535))
    }

    @Test("Every other kind is refused by its number")
    func unknownKinds() {
        for kind in UInt8.min...UInt8.max where RecordKind(rawValue: kind) == nil {
            #expect(throws: WireError.unknownRecordKind(kind)) { try RecordHeader(header(kind, 0, 1)) }
        }
    }

    @Test("The second byte is zero")
    func flags() {
        for flags in 1...UInt8.max {
            var bytes = header(8, 0, 1)
            bytes[1] = flags
            #expect(throws: WireError.flagsNotZero(flags)) { try RecordHeader(bytes) }
        }
    }

    @Test("Every record is of a stream", arguments: RecordKind.allCases)
    func numbers(_ kind: RecordKind) throws {
        let length = legal[kind]!.min()!
        let payload = [UInt8](repeating: 0, count: length)
        for stream in [0, 1, 1 << 32, UInt64.max] {
            let bytes = header(kind.rawValue, length, stream) + payload
            if stream != 0 {
                #expect(try RecordHeader(bytes).stream == stream)
            } else {
                #expect(throws: WireError.recordWithoutStream) { try RecordHeader(bytes) }
            }
        }
    }

    @Test("A record that its bundle ends within is refused, wherever in the bundle it begins", arguments: [0, 1, 20])
    func truncated(_ offset: Int) throws {
        let front = [UInt8](repeating: 0xEE, count: offset)
        for (kind, lengths) in legal {
            let length = lengths.min()!
            let record = header(kind.rawValue, length, 5) + [UInt8](repeating: 0, count: length)
            for count in 0..<record.count {
                let bytes = front + record[..<count]
                let expected: WireError =
                    count < 12 ? .wrongLength(expected: 12, received: count) : .illegalRecordLength(kind, length)
                #expect(throws: expected) { try RecordHeader(bytes, at: offset) }
            }
            // What follows is the next record's affair.
            #expect(try RecordHeader(front + record + [0xFF], at: offset).kind == kind)
        }
    }

    @Test("What parses writes the same bytes again, whatever the bytes are")
    func roundTrip() {
        var noise = Noise(state: 3)
        var parsed = Set<RecordKind>()
        for _ in 0..<20_000 {
            var bytes = noise.bytes(12 + Int(noise.next() % 120))
            // Mostly what is demanded, so that some get through.
            bytes[0] %= 11
            if noise.next() % 16 != 0 { bytes[1] = 0 }
            bytes[2] = 0
            bytes[3] %= 100
            if bytes[0] != 2, bytes[0] != 1, noise.next() % 2 == 0 { bytes[3] = [0, 1, 8][Int(noise.next() % 3)] }
            if noise.next() % 4 == 0 { for place in 4..<12 { bytes[place] = 0 } }
            if let header = try? RecordHeader(bytes) {
                parsed.insert(header.kind)
                #expect(header.bytes == [UInt8](bytes[..<12]))
                #expect(header.length <= bytes.count - 12)
            }
        }
        #expect(parsed == Set(RecordKind.allCases))
    }

    @Test("CREDIT is a count of bytes")
    func credit() throws {
        for total in [0, 1, 0x0102_0304_0506_0708, UInt64.max] {
            let credit = CreditMessage(total: total)
            #expect(try CreditMessage(credit.bytes) == credit)
        }
        #expect(CreditMessage(total: 0x0102_0304_0506_0708).bytes == [1, 2, 3, 4, 5, 6, 7, 8])
        for count in 0...20 where count != 8 {
            #expect(throws: WireError.wrongLength(expected: 8, received: count)) {
                try CreditMessage([UInt8](repeating: 0, count: count))
            }
        }
    }

    private func header(_ kind: UInt8, _ length: Int, _ stream: UInt64) -> [UInt8] {
        let number = withUnsafeBytes(of: stream.bigEndian) { [UInt8]($0) }
        return [kind, 0, UInt8(length >> 8), UInt8(length & 0xFF)] + number
    }
}
