// Bytes as they are written in vector files.

extension [UInt8] {
    /// Nil unless `hex` is an even number of hexadecimal digits.
    init?(hex: String) {
        guard hex.utf8.count.isMultiple(of: 2) else { return nil }
        self = []
        var rest = Substring(hex)
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            append(byte)
            rest = rest.dropFirst(2)
        }
    }

    var hex: String {
        map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}

extension [UInt8] {
    /// The same bytes with one bit changed.
    func flipping(bit: Int, of byte: Int) -> [UInt8] {
        var copy = self
        copy[byte] ^= 1 << UInt8(bit)
        return copy
    }

    /// A deterministic sequence of bytes that looks like noise (splitmix64).
    init(garbage seed: UInt64, count: Int) {
        var state = seed
        self = (0..<count).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return UInt8(truncatingIfNeeded: z ^ (z >> 31))
        }
    }
}
