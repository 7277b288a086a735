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
