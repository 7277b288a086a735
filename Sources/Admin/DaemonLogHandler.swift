// The swift-log handler of the daemons: one line an event.
internal import Glibc
package import Logging

/// Turns log events into lines on a `LogSink`. A value, as swift-log wants it: a change of level or
/// metadata concerns this copy alone.
package struct DaemonLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let sink: LogSink
    private let style: LogStyle

    /// - Parameter level: what is less important than this is not written.
    package init(sink: LogSink, style: LogStyle, level: Logger.Level) {
        self.sink = sink
        self.style = style
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        var message = "\(event.message)"
        if let error = event.error { message += ": \(error)" }

        let now = time(nil)
        let line = logLine(style: style, level: event.level, message: message, metadata: all, seconds: now)
        sink.write(line) { lost in
            logLine(
                style: style, level: .warning,
                message: "\(lost) log lines were lost: whoever reads them did not keep up",
                metadata: [:], seconds: now)
        }
    }
}

extension Logger {
    /// A logger that writes to standard error, in the form systemd's journal or a person expects.
    ///
    /// - Parameter level: what is less important than this is not written.
    package static func onStandardError(level: Logger.Level) -> Logger {
        let sink = LogSink(descriptor: STDERR_FILENO)
        return Logger(label: "oncewire") { _ in
            DaemonLogHandler(sink: sink, style: .ofStandardError, level: level)
        }
    }
}
