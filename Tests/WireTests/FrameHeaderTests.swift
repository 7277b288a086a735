// Frame headers: known answers, then every value of every byte.

import Testing
import Wire

@Suite("Frame headers")
struct FrameHeaderTests {
    @Test("A header is laid out as the protocol says")
    func layout() throws {
        let header = FrameHeader(type: .data, length: 0x1234, nonce: 0x0102_0304_0506_0708)
        #expect(header.bytes == [2, 0, 0, 0, 0, 0, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try FrameHeader(header.bytes) == header)
        #expect(header.frameSize == 16 + 0x1234 + 16)
        #expect(FrameHeader(type: .data, length: 65536, nonce: .max).frameSize == FrameHeader.maxFrame)
    }

    @Test("Frame types have the numbers of the protocol")
    func types() {
        #expect(FrameType.allCases.map(\.rawValue) == [UInt8](1...19))
        #expect(FrameType.open.rawValue == 1 && FrameType.rekey.rawValue == 9 && FrameType.confirmed.rawValue == 12)
    }

    @Test("Each type has exactly its legal lengths")
    func lengths() {
        let legal: [FrameType: Set<Int>] = [
            .open: Set(33...95), .data: Set(1...65536), .fin: [8], .closed: [0], .refused: [1], .abort: [1], .ping: [0],
            .pong: [0], .rekey: [1, 33], .bye: [0], .confirm: [0], .confirmed: [0], .bundle: Set(12...65536),
            .move: [17],
            .moved: [17], .stays: [0], .leaving: [0], .withdraw: Set(stride(from: 8, through: 512, by: 8)),
            .withdrawn: Set(stride(from: 0, through: 512, by: 8)),
        ]
        for type in FrameType.allCases {
            for length in Array(0...530) + Array(65500...65600) {
                #expect(type.allows(length: length) == legal[type]?.contains(length))
            }
            #expect(!type.allows(length: -1) && !type.allows(length: .max))
        }
    }

    @Test("Unknown types, flags, reserved bits and lengths are refused by what is wrong")
    func refused() {
        let good = FrameHeader(type: .fin, length: 8, nonce: 5).bytes
        for type in [0, 20, 21, 127, 255] as [UInt8] {
            #expect(throws: WireError.unknownFrameType(type)) { try FrameHeader(changing(good, 0, to: type)) }
        }
        for flags in 1...UInt8.max {
            #expect(throws: WireError.flagsNotZero(flags)) { try FrameHeader(changing(good, 1, to: flags)) }
        }
        for byte in [2, 3] {
            #expect(throws: WireError.reservedNotZero) { try FrameHeader(changing(good, byte, to: 1)) }
        }
        #expect(throws: WireError.illegalFrameLength(.fin, 0x0100_0008)) { try FrameHeader(changing(good, 4, to: 1)) }
        let huge = FrameHeader(type: .data, length: 1, nonce: 0).bytes
        let all = huge[..<4] + [0xFF, 0xFF, 0xFF, 0xFF] + huge[8...]
        #expect(throws: WireError.illegalFrameLength(.data, .max)) { try FrameHeader([UInt8](all)) }
    }

    @Test("What parses writes the same bytes again, whatever the bytes are")
    func roundTrip() {
        var noise = Noise(state: 1)
        var parsed = 0
        for _ in 0..<20_000 {
            var bytes = noise.bytes(16)
            // Mostly zero where zero is demanded, so that some get through.
            bytes[0] %= 18
            for byte in 1...5 where noise.next() % 16 != 0 { bytes[byte] = 0 }
            if noise.next() % 2 == 0 { bytes[6] = 0 }
            if let header = try? FrameHeader(bytes) {
                parsed += 1
                #expect(header.bytes == bytes)
            }
        }
        #expect(parsed > 500)
    }

    private func changing(_ bytes: [UInt8], _ place: Int, to value: UInt8) -> [UInt8] {
        var copy = bytes
        copy[place] = value
        return copy
    }
}
