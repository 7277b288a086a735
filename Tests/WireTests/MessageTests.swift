// What frames carry: OPEN, FIN, REFUSED and ABORT, REKEY.

import Testing

@testable import Wire

@Suite("Frame messages")
struct MessageTests {
    private let service = ServiceID("postgres")!

    @Test("OPEN is laid out as the protocol says")
    func openLayout() throws {
        let open = OpenMessage(streamNumber: 0x0102, source: .v4(0x7F00_0001, port: 0x1538), service: service)
        let expected: [UInt8] =
            [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 4, 0x15, 0x38, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 12) + [8]
            + "postgres".utf8
        #expect(open.bytes == expected)
        #expect(try OpenMessage(expected) == open)
        #expect(open.encodedCount == 40)

        let six = OpenMessage(streamNumber: .max, source: .v6(1, port: 1), service: service)
        let tail: [UInt8] = [6, 0, 1] + [UInt8](repeating: 0, count: 15) + [1, 8] + [UInt8]("postgres".utf8)
        #expect([UInt8](six.bytes[12...]) == tail)
        #expect(try OpenMessage(six.bytes) == six)
        let unix = OpenMessage(streamNumber: 0, source: .none, service: service)
        #expect(try OpenMessage(unix.bytes) == unix)
    }

    @Test("OPEN with anything that should be zero is refused")
    func openReserved() throws {
        for (source, zeros) in [
            (SourceAddress.none, 13...30), (.v4(.max, port: .max), 19...30),
        ] {
            let good = OpenMessage(streamNumber: 1, source: source, service: service).bytes
            for place in zeros {
                #expect(throws: WireError.reservedNotZero) { try OpenMessage(setting(good, place, 1)) }
            }
        }
        let good = OpenMessage(streamNumber: 1, source: .none, service: service).bytes
        for place in 8...11 {
            let options = UInt32(1) << (8 * (11 - place))
            #expect(throws: WireError.unknownOptions(options)) { try OpenMessage(setting(good, place, 1)) }
        }
        for family in [1, 2, 3, 5, 7, 10, 255] as [UInt8] {
            #expect(throws: WireError.unknownAddressFamily(family)) { try OpenMessage(setting(good, 12, family)) }
        }
    }

    @Test("OPEN that is cut short or made longer is refused")
    func openLength() {
        let good = OpenMessage(streamNumber: 1, source: .none, service: service).bytes
        for count in 0..<good.count { #expect(throws: WireError.self) { try OpenMessage([UInt8](good[..<count])) } }
        #expect(throws: WireError.wrongLength(expected: 40, received: 41)) { try OpenMessage(good + [0x61]) }
        #expect(throws: WireError.self) { try OpenMessage(good + [UInt8](repeating: 0x61, count: 100)) }
        for idLength in UInt8.min...UInt8.max where idLength != 8 {
            #expect(throws: WireError.self) { try OpenMessage(setting(good, 31, idLength)) }
        }
    }

    @Test("What parses as OPEN writes the same bytes again")
    func openRoundTrip() {
        var noise = Noise(state: 2)
        let alphabet = [UInt8]("abcxyz019._-A/".utf8)
        var parsed = 0
        for _ in 0..<20_000 {
            let length = Int(noise.next() % 66)
            var bytes = noise.bytes(32 + length)
            for place in 8..<12 where noise.next() % 64 != 0 { bytes[place] = 0 }
            bytes[12] = [0, 4, 6, 6, 6][Int(noise.next() % 5)]
            if bytes[12] == 0 { for place in 13..<31 { bytes[place] = 0 } }
            if bytes[12] == 4 { for place in 19..<31 { bytes[place] = 0 } }
            bytes[31] = UInt8(length)
            for place in 32..<bytes.count { bytes[place] = alphabet[Int(noise.next() % UInt64(alphabet.count))] }
            if noise.next() % 2 == 0 { for place in 32..<bytes.count { bytes[place] = 0x61 } }
            if let open = try? OpenMessage(bytes) {
                parsed += 1
                #expect(open.bytes == bytes)
            }
        }
        #expect(parsed > 5000)
    }

    @Test("Service ids are short names of a few characters")
    func serviceIDs() {
        let longest = String(repeating: "a", count: 63)
        for text in ["a", "0", "postgres", "a.b-c_d", "9-", "z...", longest] {
            #expect(ServiceID(text)?.text == text)
        }
        for text in ["", ".", "-a", "_a", "A", "aB", "a b", "a/b", "ä", "a\n", "a\0", "a:1", longest + "a", "e\u{301}"]
        {
            #expect(ServiceID(text) == nil, "\(text)")
        }
        #expect(ServiceID("redis".prefix(3))?.text == "red")
        #expect(ServiceID("a")! < ServiceID("b")!)
        #expect("\(ServiceID("redis")!)" == "redis")
    }

    @Test("Every byte in a service id on the wire is judged as in configuration")
    func serviceIDBytes() {
        let good = OpenMessage(streamNumber: 1, source: .none, service: service).bytes
        for place in [32, 33, 39] {
            for byte in UInt8.min...UInt8.max {
                let bytes = setting(good, place, byte)
                let text = String(decoding: bytes[32...], as: UTF8.self)
                #expect((try? OpenMessage(bytes))?.service == ServiceID(text))
            }
        }
    }

    @Test("FIN is a count of bytes")
    func fin() throws {
        for total in [0, 1, 0x0102_0304_0506_0708, UInt64.max] {
            let fin = FinMessage(total: total)
            #expect(try FinMessage(fin.bytes) == fin)
        }
        #expect(FinMessage(total: 0x0102_0304_0506_0708).bytes == [1, 2, 3, 4, 5, 6, 7, 8])
        for count in 0...20 where count != 8 {
            #expect(throws: WireError.wrongLength(expected: 8, received: count)) {
                try FinMessage([UInt8](repeating: 0, count: count))
            }
        }
    }

    @Test("Reasons are one byte of the table")
    func reasons() throws {
        #expect(CloseReason.allCases.map(\.rawValue) == [UInt8](1...11))
        for byte in UInt8.min...UInt8.max {
            if let reason = CloseReason(rawValue: byte) {
                #expect(try ReasonMessage([byte]) == ReasonMessage(reason: reason))
                #expect(ReasonMessage(reason: reason).bytes == [byte])
            } else {
                #expect(throws: WireError.unknownReason(byte)) { try ReasonMessage([byte]) }
            }
        }
        for count in [0, 2, 3] {
            #expect(throws: WireError.wrongLength(expected: 1, received: count)) {
                try ReasonMessage([UInt8](repeating: 1, count: count))
            }
        }
    }

    @Test("REKEY is a step and, in the first two, a key")
    func rekey() throws {
        let key = [UInt8](0..<32)
        #expect(RekeyMessage.offer(key).bytes == [1] + key)
        #expect(RekeyMessage.answer(key).bytes == [2] + key)
        #expect(RekeyMessage.done.bytes == [3])
        for message in [RekeyMessage.offer(key), .answer(key), .done] {
            #expect(try RekeyMessage(message.bytes) == message)
        }
        for step in UInt8.min...UInt8.max {
            for count in 0...34 where !((1...2 ~= step && count == 32) || (step == 3 && count == 0)) {
                #expect(throws: WireError.malformedRekey) {
                    try RekeyMessage([step] + [UInt8](repeating: 9, count: count))
                }
            }
        }
        #expect(throws: WireError.malformedRekey) { try RekeyMessage([]) }
    }

    private func setting(_ bytes: [UInt8], _ place: Int, _ value: UInt8) -> [UInt8] {
        var copy = bytes
        copy[place] = value
        return copy
    }
}
