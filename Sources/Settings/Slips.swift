// What keyboards, editors and web pages leave in a file, which YAML would misread far from where it stands: quotes
// that are not closed, typographic quotes, spaces that are none. Finds them before the parser does; pure.

/// Reads a file character by character, knowing just enough YAML to tell comments, quotes and plain text apart.
///
/// No value of a configuration goes over several lines, so a quote is closed on its line or not at all.
struct Slips {
    private let findings: Findings
    /// How many brackets and braces are open.
    private var depth = 0
    private var state = State.start
    private var isAfterBlank = true

    private enum State {
        /// Where a key or a value may begin.
        case start
        case plain
        case quoted(Quote)
        /// Behind a closing quote or bracket.
        case closed
        case comment
    }

    private struct Quote {
        let scalar: Unicode.Scalar
        let mark: Mark
        /// A quote of another kind that was perhaps meant to close it.
        var lookalike: Unicode.Scalar?
    }

    /// Reports every slip; true if there was one, and reading on would only tell its consequences.
    static func report(in source: SourceText, to findings: Findings) -> Bool {
        let before = findings.count
        var slips = Slips(findings: findings)
        var mark = Mark(line: 1, column: 1)
        let scalars = Array(String(decoding: source.bytes, as: UTF8.self).unicodeScalars)
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            let next = index + 1 < scalars.count ? scalars[index + 1] : "\n"
            index += 1
            if scalar == "\n" || scalar == "\r" {
                slips.endLine()
                if scalar == "\r", next == "\n" { index += 1 }
                mark = Mark(line: mark.line + 1, column: 1)
                continue
            }
            let isPair = slips.read(scalar, next: next, at: mark)
            if isPair { index += 1 }
            mark = Mark(line: mark.line, column: mark.column + (isPair ? 2 : 1))
        }
        slips.endLine()
        return findings.count > before
    }

    // MARK: One character

    /// Reads a character; true if the next one belongs to it.
    private mutating func read(_ scalar: Unicode.Scalar, next: Unicode.Scalar, at mark: Mark) -> Bool {
        if case .comment = state { return false }
        if let name = Self.invisible[scalar.value] {
            findings.report(
                mark, "an invisible character stands here: a \(name) (\(Self.code(scalar)))",
                name.hasSuffix("space") && !name.hasPrefix("zero") ? "type a plain space instead" : "remove it")
            return false
        }
        if case .quoted(let quote) = state { return readQuoted(scalar, next: next, quote) }
        defer { isAfterBlank = Self.isBlank(scalar) }
        if scalar == "#", isAfterBlank {
            state = .comment
        } else if !Self.isBlank(scalar) {
            readPlain(scalar, next: next, at: mark)
        }
        return false
    }

    private mutating func readQuoted(_ scalar: Unicode.Scalar, next: Unicode.Scalar, _ quote: Quote) -> Bool {
        if quote.scalar == "\"", scalar == "\\" { return !Self.isLineEnd(next) }
        if scalar == quote.scalar {
            if scalar == "'", next == "'" { return true }
            state = .closed
        } else if Self.typographic.contains(scalar) || scalar == "\"" || scalar == "'" {
            var seen = quote
            seen.lookalike = scalar
            state = .quoted(seen)
        }
        return false
    }

    private mutating func readPlain(_ scalar: Unicode.Scalar, next: Unicode.Scalar, at mark: Mark) {
        let endsWord = Self.isBlank(next) || Self.isLineEnd(next)
        switch (scalar, state) {
        case ("\"", .start), ("'", .start):
            state = .quoted(Quote(scalar: scalar, mark: mark))
        case ("-", .start) where endsWord, ("?", .start) where endsWord:
            break
        case (":", .closed):
            state = .start
        case (":", _) where endsWord || depth > 0 && ",[]{}".unicodeScalars.contains(next):
            state = .start
        case ("[", .start), ("{", .start):
            depth += 1
        case (",", _) where depth > 0:
            state = .start
        case ("[", _) where depth > 0, ("{", _) where depth > 0:
            depth += 1
            state = .start
        case ("]", _) where depth > 0, ("}", _) where depth > 0:
            depth -= 1
            state = .closed
        case (_, .start) where Self.typographic.contains(scalar):
            findings.report(
                mark, "\(scalar) is a typographic quote, which YAML takes for a part of the text",
                "type plain quotes: \"\u{2026}\"")
            state = .plain
        default:
            state = .plain
        }
    }

    private mutating func endLine() {
        if case .quoted(let quote) = state {
            let lookalike = quote.lookalike.map { " instead of \($0)" } ?? ""
            findings.report(
                quote.mark, "the quote that opens here is not closed on its line",
                "close it with \(quote.scalar)\(lookalike)")
        }
        state = .start
        isAfterBlank = true
    }

    // MARK: Characters

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }

    private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool { scalar == "\n" || scalar == "\r" }

    private static func code(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private static let typographic = Set(
        "\u{2018}\u{2019}\u{201A}\u{201B}\u{201C}\u{201D}\u{201E}\u{201F}\u{2032}\u{2033}\u{2039}\u{203A}\u{AB}\u{BB}\u{FF02}\u{FF07}"
            .unicodeScalars)

    /// Characters that look like a space or like nothing, by what they are called.
    private static let invisible: [UInt32: String] = {
        var names: [UInt32: String] = [
            0xA0: "no-break space", 0x202F: "no-break space", 0xAD: "soft hyphen", 0x200B: "zero-width space",
            0x2060: "zero-width no-break space", 0x205F: "wide space", 0x3000: "wide space", 0x1680: "wide space",
        ]
        for value in 0x2000...0x200A as ClosedRange<UInt32> { names[value] = "wide space" }
        for value in [0x200E, 0x200F] + Array(0x202A...0x202E) + Array(0x2066...0x2069) as [UInt32] {
            names[value] = "mark of writing direction"
        }
        return names
    }()
}
