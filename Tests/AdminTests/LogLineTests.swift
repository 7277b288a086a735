import Logging
import Testing

@testable import Admin

@Suite struct LogLineTests {
    @Test("A plain line begins with the time in UTC and the level")
    func plain() {
        let line = logLine(style: .plain, level: .info, message: "paired", metadata: [:], seconds: 1_767_225_600)
        #expect(line == "2026-01-01T00:00:00Z info paired\n")
    }

    @Test(
        "A line for the journal begins with syslog's priority number",
        arguments: [
            (Logger.Level.trace, "<7>"), (.debug, "<7>"), (.info, "<6>"), (.notice, "<5>"), (.warning, "<4>"),
            (.error, "<3>"), (.critical, "<2>"),
        ])
    func journal(level: Logger.Level, prefix: String) {
        let line = logLine(style: .journal, level: level, message: "x", metadata: [:], seconds: 0)
        #expect(line == prefix + "x\n")
    }

    @Test("Metadata follows the message in the order of its keys")
    func metadata() {
        let line = logLine(style: .journal, level: .info, message: "m", metadata: ["b": "2", "a": "1"], seconds: 0)
        #expect(line == "<6>m a=1 b=2\n")
    }

    @Test("Text from outside can neither begin a line of its own nor steer a terminal")
    func controlCharacters() {
        let line = logLine(
            style: .journal, level: .info, message: "a\n<2>b\u{1b}[2J\r\n\u{85}\u{2028}ü", metadata: ["k\n": "v\n"],
            seconds: 0)
        #expect(line == "<6>a\u{fffd}<2>b\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}ü k\u{fffd}=v\u{fffd}\n")
    }
}
