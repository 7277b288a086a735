// MOVE and MOVED, by which a stream leaves a shared carrier.

import Testing
import Wire

@Suite("MOVE and MOVED")
struct MoveMessageTests {
    @Test("MOVE is laid out as the protocol says")
    func moveLayout() throws {
        let move = MoveMessage(
            stream: 0x0102_0304_0506_0708, progress: StreamProgress(total: 0x1112_1314_1516_1718, hasEnded: true))
        let expected: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 1]
        #expect(move.bytes == expected)
        #expect(try MoveMessage(expected) == move)
        #expect(move.encodedCount == 17 && MoveMessage.size == 17)
    }

    @Test("MOVED is laid out as the protocol says")
    func movedLayout() throws {
        let moved = MovedMessage(
            stream: 0x2122_2324_2526_2728, progress: StreamProgress(total: 0x0102_0304_0506_0708, hasEnded: false))
        #expect(moved.bytes == [0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 1, 2, 3, 4, 5, 6, 7, 8, 0])
        #expect(try MovedMessage(moved.bytes) == moved)
        #expect(moved.encodedCount == 17 && MovedMessage.size == 17)
    }

    @Test("Messages that are cut short or made longer are refused")
    func lengths() {
        for count in 0...40 {
            let bytes = [UInt8](repeating: 0, count: count)
            if count != 17 {
                #expect(throws: WireError.wrongLength(expected: 17, received: count)) { try MoveMessage(bytes) }
                #expect(throws: WireError.wrongLength(expected: 17, received: count)) { try MovedMessage(bytes) }
            }
        }
    }

    @Test("Whether a direction has ended is 0 or 1")
    func flags() throws {
        for flag in UInt8.min...UInt8.max {
            let bytes = [UInt8](repeating: 9, count: 16) + [flag]
            if flag <= 1 {
                #expect(try MoveMessage(bytes).progress.hasEnded == (flag == 1))
                #expect(try MovedMessage(bytes).progress.hasEnded == (flag == 1))
            } else {
                #expect(throws: WireError.malformedFlag(flag)) { try MoveMessage(bytes) }
                #expect(throws: WireError.malformedFlag(flag)) { try MovedMessage(bytes) }
            }
        }
    }

    @Test("What parses writes the same bytes again")
    func roundTrip() throws {
        var noise = Noise(state: 4)
        for _ in 0..<2_000 {
            var bytes = noise.bytes(17)
            bytes[16] %= 2
            #expect(try MoveMessage(bytes).bytes == bytes)
            #expect(try MovedMessage(bytes).bytes == bytes)
        }
    }
}
