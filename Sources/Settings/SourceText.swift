// The bytes of a configuration file, checked to be honest text before the YAML parser sees them. Pure values.

/// The text of one file, at most `mostBytes` long.
struct SourceText {
    /// Far above any real configuration (ten thousand devices fit), far below what could exhaust a host.
    static let mostBytes = 1 << 20

    /// Valid UTF-8 without a byte order mark, NUL, or any control character but tab and line ends.
    let bytes: [UInt8]
    /// The place after the last character.
    let end: Mark

    /// Checks the bytes of a file; nil if they are not text, which is then reported with its place.
    init?(_ file: [UInt8], into findings: Findings) {
        guard file.count <= Self.mostBytes else {
            findings.report(
                nil, "the file is larger than 1 MiB", "check the path, a configuration is never that large")
            return nil
        }
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        bytes = file.starts(with: byteOrderMark) ? Array(file.dropFirst(3)) : file

        var line = 1
        var column = 1
        var parser = Unicode.UTF8.ForwardParser()
        var input = bytes.makeIterator()
        var previous: Unicode.Scalar = " "
        reading: while true {
            let mark = Mark(line: line, column: column)
            switch parser.parseScalar(from: &input) {
            case .emptyInput:
                break reading
            case .error:
                findings.report(mark, "this is not valid UTF-8", "save the file as UTF-8 text")
                return nil
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                guard Self.isHonest(scalar) else {
                    let code = String(scalar.value, radix: 16, uppercase: true)
                    findings.report(mark, "a control character (0x\(code)) is not allowed here", "remove it")
                    return nil
                }
                if scalar == "\n" {
                    // The line feed of a CR LF pair: the CR has already ended the line.
                    if previous != "\r" { line += 1 }
                    column = 1
                } else if scalar == "\r" {
                    line += 1
                    column = 1
                } else {
                    column += 1
                }
                previous = scalar
            }
        }
        end = Mark(line: line, column: column)
    }

    /// The line of that number (counted from 1) without its end; empty if there is none.
    func line(_ number: Int) -> String {
        var current = 1
        var start = 0
        for (index, byte) in bytes.enumerated() where byte == 0x0A || (byte == 0x0D && !isFollowedByLineFeed(index)) {
            if current == number { return String(decoding: bytes[start..<index], as: UTF8.self) }
            current += 1
            start = index + 1
        }
        return current == number ? String(decoding: bytes[start...], as: UTF8.self) : ""
    }

    private func isFollowedByLineFeed(_ index: Int) -> Bool {
        index + 1 < bytes.count && bytes[index + 1] == 0x0A
    }

    /// No control characters, and none of Unicode's own line ends: YAML would count a line where no editor does.
    private static func isHonest(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D: true
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF: false
        default: true
        }
    }
}
