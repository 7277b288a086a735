import Testing

@testable import Settings

@Suite("Durations, sizes and numbers")
struct QuantityTests {
    @Test(
        "A duration is a whole number and a unit, and is written back in the largest unit that is exact",
        arguments: [
            ("0s", Duration.zero, "0s"), ("1ms", .milliseconds(1), "1ms"), ("1500ms", .milliseconds(1500), "1500ms"),
            ("5s", .seconds(5), "5s"), ("60s", .seconds(60), "1m"), ("90s", .seconds(90), "90s"),
            ("15m", .seconds(900), "15m"), ("60m", .seconds(3600), "1h"), ("24h", .seconds(86_400), "24h"),
            ("1d", .seconds(86_400), "24h"), ("48h", .seconds(172_800), "2d"), ("007s", .seconds(7), "7s"),
        ])
    func durations(text: String, duration: Duration, canonical: String) throws {
        #expect(try Quantity.duration(text) == duration)
        #expect(Quantity.text(duration) == canonical)
        #expect(try Quantity.duration(canonical) == duration)
    }

    @Test(
        "A size is a whole number of bytes or of a binary unit, and is written back in the largest that is exact",
        arguments: [
            ("0", 0, "0B"), ("1", 1, "1B"), ("1023B", 1023, "1023B"), ("1KiB", 1024, "1KiB"), ("1025", 1025, "1025B"),
            ("1024KiB", 1 << 20, "1MiB"), ("16GiB", 16 << 30, "16GiB"), ("1536MiB", 1536 << 20, "1536MiB"),
        ])
    func sizes(text: String, bytes: Int, canonical: String) throws {
        #expect(try Quantity.size(text) == bytes)
        #expect(Quantity.text(bytes: UInt64(bytes)) == canonical)
        #expect(try Quantity.size(canonical) == bytes)
    }

    @Test(
        "A text that is no duration is refused",
        arguments: [
            ("", "is not a duration"), ("5", "without a unit"), ("-5s", "negative"), ("s", "is not a duration"),
            ("5 s", "is not a duration"), ("5S", "is not a duration"), ("1h30m", "is not a duration"),
            ("1.5h", "whole number"), ("5sec", "is not a duration"), ("5us", "is not a duration"),
            ("٣s", "is not a duration"), ("0x5s", "is not a duration"), ("+5s", "is not a duration"),
            ("99999999999999999999s", "too long"), ("9223372036854775807d", "too long"),
            ("forever", "is not a duration"),
        ])
    func badDurations(text: String, message: String) {
        expectComplaint(message) { () throws(Complaint) in _ = try Quantity.duration(text) }
    }

    @Test(
        "A text that is no size is refused",
        arguments: [
            ("", "is not a size"), ("16GB", "is not a size"), ("16 GiB", "is not a size"), ("-1B", "negative"),
            ("1.5GiB", "whole number"), ("9223372036854775807KiB", "too large"), ("18446744073709551616", "too large"),
        ])
    func badSizes(text: String, message: String) {
        expectComplaint(message) { () throws(Complaint) in _ = try Quantity.size(text) }
    }

    @Test(
        "A text that is no whole number is refused",
        arguments: [
            ("", "is not a number"), ("1e3", "is not a whole number"), ("0x10", "is not a whole number"),
            ("1_000", "is not a whole number"), ("-1", "negative"), ("1.0", "is not a whole number"),
            ("9223372036854775808", "too large"), ("10s", "is not a whole number"),
        ])
    func badCounts(text: String, message: String) {
        expectComplaint(message) { () throws(Complaint) in _ = try Quantity.count(text) }
    }

    private func expectComplaint(_ message: String, _ body: () throws(Complaint) -> Void) {
        do throws(Complaint) {
            try body()
            Issue.record("it was accepted")
        } catch {
            #expect(error.message.contains(message))
        }
    }

    @Test("The nearest word is one that differs by one edit in three characters at most")
    func nearestWords() {
        let words = ["listen", "identity", "services", "devices"]
        #expect(nearest(to: "lsiten", among: words) == "listen")
        #expect(nearest(to: "Listen", among: words) == "listen")
        #expect(nearest(to: "service", among: words) == "services")
        #expect(nearest(to: "device", among: words) == "devices")
        #expect(nearest(to: "identiy", among: words) == "identity")
        #expect(nearest(to: "dev", among: words) == "devices")
        #expect(nearest(to: "de", among: words) == nil)
        #expect(nearest(to: "ser", among: words + ["server"]) == nil)
        #expect(nearest(to: "port", among: words) == nil)
        #expect(nearest(to: "", among: words) == nil)
        #expect(nearest(to: String(repeating: "l", count: 10_000), among: words) == nil)
        #expect(editDistance(Array("ca".unicodeScalars), Array("abc".unicodeScalars)) == 3)
        #expect(editDistance(Array("ab".unicodeScalars), Array("ba".unicodeScalars)) == 1)
        #expect(editDistance([], Array("abc".unicodeScalars)) == 3)
    }

    @Test("Quoted text is one short line, and never a key")
    func quotedText() {
        #expect(quoted("a\nb\u{1B}[0m\u{202E}") == "\"a\\u{a}b\\u{1b}[0m\\u{202e}\"")
        #expect(quoted(String(repeating: "ä", count: 61)).count == 63)
        #expect(!quoted("x OwKey-secret").contains("secret"))
        #expect(!quoted("ow" + "owkey-\u{301}secret").contains("secret"))
        #expect(!quoted(String(repeating: "b", count: 56)).contains("b"))
        #expect(quoted(String(repeating: "b", count: 55)).contains("b"))
    }
}
