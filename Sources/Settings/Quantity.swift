// Durations, sizes and whole numbers: text to value and back. Pure functions; nothing overflows.

enum Quantity {
    /// An integer with ms, s, m, h or d.
    static func duration(_ text: String) throws(Complaint) -> Duration {
        let forms = "write a whole number and ms, s, m, h or d, such as 15m"
        let (digits, unit) = try split(text, what: "a duration", forms)
        guard let milliseconds = millisecondsPerUnit[unit] else {
            guard unit.isEmpty else {
                throw Complaint("\(quoted(text)) is not a duration", forms)
            }
            throw Complaint("\(quoted(text)) is a duration without a unit", forms)
        }
        guard let value = product(digits, milliseconds) else {
            throw Complaint("the duration \(quoted(text)) is too long", forms)
        }
        return .milliseconds(value)
    }

    /// An integer with B, KiB, MiB or GiB, or without a unit for bytes.
    static func size(_ text: String) throws(Complaint) -> Int {
        let forms = "write a whole number and B, KiB, MiB or GiB, such as 16GiB"
        let (digits, unit) = try split(text, what: "a size", forms)
        guard let bytes = unit.isEmpty ? 1 : bytesPerUnit[unit] else {
            throw Complaint("\(quoted(text)) is not a size", forms)
        }
        guard let value = product(digits, bytes) else {
            throw Complaint("the size \(quoted(text)) is too large", forms)
        }
        return value
    }

    /// A whole number without a unit.
    static func count(_ text: String) throws(Complaint) -> Int {
        let forms = "write a whole number in digits, such as 64"
        let (digits, unit) = try split(text, what: "a number", forms)
        guard unit.isEmpty else { throw Complaint("\(quoted(text)) is not a whole number", forms) }
        guard let value = product(digits, 1) else { throw Complaint("the number \(quoted(text)) is too large", forms) }
        return value
    }

    /// The duration in the largest unit that gives a whole number; parses back to the same value if it is whole
    /// milliseconds, as every configured duration is.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        guard attoseconds == 0 else {
            let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
            return overflow ? "\(seconds)s" : "\(whole + attoseconds / 1_000_000_000_000_000)ms"
        }
        // One day reads better as 24h.
        if seconds >= 172_800, seconds.isMultiple(of: 86_400) { return "\(seconds / 86_400)d" }
        if seconds != 0, seconds.isMultiple(of: 3600) { return "\(seconds / 3600)h" }
        if seconds != 0, seconds.isMultiple(of: 60) { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }

    /// The size in the largest unit that gives a whole number; parses back to the same value.
    static func text(bytes: UInt64) -> String {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes >= 1 << shift {
            if bytes.isMultiple(of: 1 << shift) { return "\(bytes >> shift)\(unit)" }
        }
        return "\(bytes)B"
    }

    // MARK: Parts

    private static let millisecondsPerUnit = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
    private static let bytesPerUnit = ["B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]

    private static func split(
        _ text: String, what: String, _ forms: String
    ) throws(Complaint) -> (digits: Substring, unit: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count)
        guard text.first != "-" else { throw Complaint("\(quoted(text)) is negative", forms) }
        guard !digits.isEmpty else { throw Complaint("\(quoted(text)) is not \(what)", forms) }
        guard unit.first != "." else { throw Complaint("\(quoted(text)) is not a whole number", forms) }
        return (digits, String(unit))
    }

    /// nil if the product does not fit.
    private static func product(_ digits: Substring, _ factor: Int) -> Int? {
        guard let number = Int(digits) else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : value
    }
}
