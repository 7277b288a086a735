// The tables of docs/CONFIGURATION.md are made from the declarations. With ONCEWIRE_WRITE_REFERENCE=1 the test writes
// them instead of comparing: scripts/reference does that.

import Foundation
import Settings
import Testing

@Suite("Reference")
struct ReferenceTests {
    private static let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/CONFIGURATION.md")

    /// The table below each heading.
    private static let tables: [(heading: String, keys: [Key])] = [
        ("## Server", Schema.server.keys.filter { !Schema.common.contains($0) }),
        ("## Client", Schema.client.keys.filter { !Schema.common.contains($0) }),
        ("## Both", Schema.common),
    ]

    private static func table(of keys: [Key]) -> [String] {
        ["| key | meaning | unit and limits | a change applies to | default |", "|---|---|---|---|---|"]
            + keys.map { key in
                let standard = key.standard.map { "`\($0)`" } ?? "required"
                let limits = key.limits.isEmpty ? "" : "\(key.limits) "
                return "| `\(key.path)` | \(key.meaning) | \(limits)| \(key.change.appliesTo) | \(standard) |"
            }
    }

    /// The document with other tables.
    private func rewritten(_ text: String) throws -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for (heading, keys) in Self.tables {
            let start = try #require(lines.firstIndex(of: heading), "no heading \(heading)")
            let first = try #require(lines[start...].firstIndex { $0.hasPrefix("|") })
            let end = try #require(lines[first...].firstIndex { !$0.hasPrefix("|") })
            lines.replaceSubrange(first..<end, with: Self.table(of: keys))
        }
        return lines.joined(separator: "\n")
    }

    @Test("The tables of the reference are those that the declarations make")
    func tables() throws {
        let text = try String(contentsOf: Self.path, encoding: .utf8)
        let expected = try rewritten(text)
        if ProcessInfo.processInfo.environment["ONCEWIRE_WRITE_REFERENCE"] == "1" {
            return try expected.write(to: Self.path, atomically: true, encoding: .utf8)
        }
        for (line, wanted) in zip(text.split(separator: "\n"), expected.split(separator: "\n")) {
            try #require(line == wanted, "run scripts/reference")
        }
        #expect(text == expected, "run scripts/reference")
    }

    @Test("Every key is declared once, and says what it means")
    func declarations() {
        for keys in [Schema.server.keys, Schema.client.keys] {
            #expect(Set(keys.map(\.path)).count == keys.count)
            for key in keys {
                #expect(!key.meaning.isEmpty && !key.meaning.contains("|"), "\(key.path)")
                #expect(key.name == key.path.split(separator: ".").last.map(String.init))
                // An earlier name that a key has again would never be heard of.
                #expect(!keys.contains { $0.section == key.section && $0.name == key.formerly?.name })
            }
        }
        // Each is in one table and in no other.
        let all = Self.tables.flatMap(\.keys).map(\.path)
        #expect(Set(all).isSuperset(of: (Schema.server.keys + Schema.client.keys).map(\.path)))
        #expect(all.count == Schema.server.keys.count + Schema.client.keys.count - Schema.common.count)
    }
}
