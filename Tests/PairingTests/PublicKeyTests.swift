// The text form of public keys: what people copy by hand and by clipboard.

import Testing

@testable import Pairing

@Suite("Public keys as text")
struct PublicKeyTests {
    private let key = PublicKey(bytes: [UInt8](garbage: 6, count: 32))

    @Test("A key survives the way to text and back")
    func roundTrip() throws {
        for seed in 0..<100 as Range<UInt64> {
            let key = PublicKey(bytes: [UInt8](garbage: seed, count: 32))
            #expect(try PublicKey(text: key.text) == key)
            #expect(key.text.utf8.count == 62)
        }
        for byte in [0, 0xFF] as [UInt8] {
            let key = PublicKey(bytes: [UInt8](repeating: byte, count: 32))
            #expect(try PublicKey(text: key.text) == key)
        }
    }

    @Test("Every mistyped character is noticed")
    func typos() {
        let text = [UInt8](key.text.utf8)
        for place in 6..<text.count {
            for replacement in "abcdefghijklmnopqrstuvwxyz234567".utf8 where replacement != text[place] {
                var changed = text
                changed[place] = replacement
                #expect(throws: KeyTextError.wrongChecksum) {
                    try PublicKey(text: String(decoding: changed, as: UTF8.self))
                }
            }
        }
    }

    @Test("Swapped neighbours are noticed")
    func swaps() {
        let text = [UInt8](key.text.utf8)
        for place in 6..<text.count - 1 where text[place] != text[place + 1] {
            var changed = text
            changed.swapAt(place, place + 1)
            #expect(throws: KeyTextError.wrongChecksum) {
                try PublicKey(text: String(decoding: changed, as: UTF8.self))
            }
        }
    }

    @Test("Only the exact form is a key")
    func form() {
        let text = key.text
        let refused: [(String, KeyTextError)] = [
            ("", .wrongPrefix), ("owpub", .wrongPrefix), (" " + text, .wrongPrefix),
            (String(text.dropFirst()), .wrongPrefix),
            (text.uppercased(), .wrongPrefix), ("owpub-", .wrongLength(0)), (String(text.dropLast()), .wrongLength(55)),
            (text + "a", .wrongLength(57)), (text + "\n", .wrongLength(57)), (text + " ", .wrongLength(57)),
            ("owpub-" + text.dropFirst(6).uppercased(), .unknownCharacter),
            ("owkey-" + text.dropFirst(6), .privateKey), (String(text.dropLast()) + "1", .unknownCharacter),
            (String(text.dropLast()) + "=", .unknownCharacter), (String(text.dropLast()) + "é", .wrongLength(57)),
        ]
        for (text, error) in refused {
            #expect(throws: error, "\(text)") { try PublicKey(text: text) }
            #expect(!error.description.isEmpty)
        }
    }

    @Test("Every other byte than the alphabet's is unknown")
    func alphabet() {
        let alphabet = Set("abcdefghijklmnopqrstuvwxyz234567".utf8)
        for byte in 0...UInt8.max {
            var text = [UInt8](key.text.utf8.dropFirst(6))
            text[20] = byte
            var decoded = [UInt8](repeating: 0, count: 35)
            let isBase32 = text.withUnsafeBytes { text in
                decoded.withUnsafeMutableBytes { Base32.decode(text, into: $0) }
            }
            #expect(isBase32 == alphabet.contains(byte), "\(byte)")
        }
    }
}
