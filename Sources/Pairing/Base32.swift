// RFC 4648 §6 base32 in lower case without padding, for the text form of keys. Works from and into memory that the
// caller owns, and looks nothing up by a secret index, so that private keys can pass through it.

/// 35 bytes as 56 characters. Only this one length is needed: a 32-byte key and 3 bytes of checksum.
enum Base32 {
    static let byteCount = 35
    static let textCount = 56

    /// Writes 56 ASCII characters for the 35 bytes of `bytes`.
    static func encode(_ bytes: UnsafeRawBufferPointer, into text: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == byteCount && text.count == textCount)
        for group in 0..<7 {
            var bits: UInt64 = 0
            for index in 0..<5 { bits = bits << 8 | UInt64(bytes[group * 5 + index]) }
            for index in 0..<8 { text[group * 8 + index] = character(UInt8(bits >> UInt64(35 - 5 * index) & 31)) }
        }
    }

    /// Reads 56 ASCII characters into 35 bytes. False if one of them is outside the alphabet.
    static func decode(_ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        precondition(bytes.count == byteCount && text.count == textCount)
        var unknown: UInt8 = 0
        for group in 0..<7 {
            var bits: UInt64 = 0
            for index in 0..<8 {
                let (value, isUnknown) = value(of: text[group * 8 + index])
                bits = bits << 5 | UInt64(value)
                unknown |= isUnknown
            }
            for index in 0..<5 { bytes[group * 5 + index] = UInt8(truncatingIfNeeded: bits >> UInt64(32 - 8 * index)) }
        }
        return unknown == 0
    }

    /// 0...25 are a...z, 26...31 are 2...7. Arithmetic instead of a table or a branch on the value.
    private static func character(_ value: UInt8) -> UInt8 {
        let isDigit = ones(25, isLessThan: value)
        return value &+ UInt8(ascii: "a") &- isDigit & (UInt8(ascii: "a") &+ 26 &- UInt8(ascii: "2"))
    }

    private static func value(of character: UInt8) -> (value: UInt8, isUnknown: UInt8) {
        let isLetter =
            ones(UInt8(ascii: "a") - 1, isLessThan: character) & ones(character, isLessThan: UInt8(ascii: "z") + 1)
        let isDigit =
            ones(UInt8(ascii: "2") - 1, isLessThan: character) & ones(character, isLessThan: UInt8(ascii: "7") + 1)
        let letter = isLetter & (character &- UInt8(ascii: "a"))
        let digit = isDigit & (character &- UInt8(ascii: "2") &+ 26)
        return (letter | digit, ~(isLetter | isDigit))
    }

    /// 0xFF if `a` < `b`, otherwise 0, without a branch.
    private static func ones(_ a: UInt8, isLessThan b: UInt8) -> UInt8 {
        UInt8(truncatingIfNeeded: (UInt16(a) &- UInt16(b)) >> 8)
    }
}
