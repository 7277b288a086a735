// How one event looks as one line of text. Pure functions; the bytes go out in LogSink.
internal import Glibc
package import Logging

/// What a line begins with.
package enum LogStyle: Sendable {
    /// `<6>` and the like, read by journald as the line's priority; it notes the time itself (sd-daemon(3)).
    case journal
    /// `2026-01-01T00:00:00Z info `, for a terminal or a file.
    case plain

    /// The style standard error asks for: systemd sets JOURNAL_STREAM when it is connected to the journal.
    package static var ofStandardError: LogStyle {
        getenv("JOURNAL_STREAM") == nil ? .plain : .journal
    }
}

/// One event as one line, its newline included.
///
/// - Parameter seconds: the time of the event, seconds since 1970, UTC.
package func logLine(
    style: LogStyle, level: Logger.Level, message: String, metadata: Logger.Metadata, seconds: Int
) -> String {
    var line: String
    switch style {
    case .journal: line = "<\(syslogPriority(level))>"
    case .plain: line = "\(utcText(seconds)) \(level) "
    }
    line += singleLine(message)
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
        line += " \(singleLine(key))=\(singleLine("\(value)"))"
    }
    line += "\n"
    return line
}

/// syslog(3)'s priority number, which is smaller the worse the news.
private func syslogPriority(_ level: Logger.Level) -> Int {
    switch level {
    case .critical: 2
    case .error: 3
    case .warning: 4
    case .notice: 5
    case .info: 6
    case .debug, .trace: 7
    }
}

/// Seconds since 1970 in the form of RFC 3339, UTC.
private func utcText(_ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
}

/// The text with every control character replaced. Text that comes from outside, such as a name in a file, must not
/// begin a line of its own or steer a terminal.
private func singleLine(_ text: String) -> String {
    func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
    }
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var clean = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { clean.append(isControl(scalar) ? "\u{fffd}" : scalar) }
    return String(clean)
}
