// Which frame is legal in which state: every combination, and the tables of PROTOCOL.md against the code.
import Foundation
import Testing
import Wire

@testable import Relay

@Suite("Frame rules")
struct FrameRulesTests {
    @Test("A carrier that decodes nothing any more takes no frame", arguments: [WorkKind.departing, .leaving, .closed])
    func nothingAfterTheEnd(_ kind: WorkKind) {
        for side in Side.allCases {
            for type in FrameType.allCases { #expect(FrameRules.rule(type, at: side, in: kind) == .never) }
        }
    }

    @Test("Before it is confirmed, a carrier takes its confirmation and nothing else")
    func confirming() {
        for type in FrameType.allCases {
            #expect((FrameRules.rule(type, at: .server, in: .confirming) == .always) == (type == .confirm))
            #expect((FrameRules.rule(type, at: .client, in: .confirming) == .always) == (type == .confirmed))
        }
    }

    @Test("A frame that goes one way is never legal the other way", arguments: WorkKind.allCases)
    func oneWay(_ kind: WorkKind) {
        for type in [FrameType.open, .bye, .confirm, .move, .withdraw] {
            #expect(FrameRules.rule(type, at: .client, in: kind) == .never)
        }
        for type in [FrameType.closed, .refused, .confirmed, .moved, .stays, .leaving, .withdrawn] {
            #expect(FrameRules.rule(type, at: .server, in: kind) == .never)
        }
    }

    @Test("Application bytes are legal on a stream, and nowhere else")
    func applicationBytes() {
        for side in Side.allCases {
            for kind in WorkKind.allCases {
                let isStream = kind == .streaming || (kind == .dialing && side == .server)
                for type in [FrameType.data, .fin] {
                    #expect((FrameRules.rule(type, at: side, in: kind) != .never) == isStream)
                }
            }
        }
    }

    @Test("A stream begins on an idle carrier of a server only")
    func beginnings() {
        for type in [FrameType.open, .move] {
            for kind in WorkKind.allCases {
                let rule = FrameRules.rule(type, at: .server, in: kind)
                #expect(rule == (kind == .idle ? .when(.afterClosed) : .never))
            }
        }
    }

    @Test("Of the records, OPEN begins a stream and is legal for none that has begun")
    func records() {
        for kind in RecordKind.allCases {
            #expect(FrameRules.allows(kind, at: .client) == (kind != .open))
            #expect(FrameRules.allows(kind, at: .server) == ![.open, .refused, .heavy].contains(kind))
        }
    }

    /// The table as PROTOCOL.md has it.
    static var table: String {
        let kinds: [WorkKind] = [.confirming, .idle, .dialing, .streaming, .finishing, .moving, .shared]
        let names = ["confirming", "idle", "connecting", "streaming", "finishing", "moving", "shared"]
        var lines = ["| frame | way | " + names.joined(separator: " | ") + " |"]
        lines.append("|" + String(repeating: "---|", count: kinds.count + 2))
        for side in [Side.server, .client] {
            for type in FrameType.allCases {
                let cells = kinds.map { kind in
                    switch FrameRules.rule(type, at: side, in: kind) {
                    case _ where kind == (side == .server ? .finishing : .dialing): "–"
                    case .never: ""
                    case .always: "yes"
                    case .when(let condition): condition.rawValue
                    }
                }
                guard cells.contains(where: { !$0.isEmpty && $0 != "–" }) else { continue }
                let row = cells.map { $0.isEmpty ? " " : " \($0) " }.joined(separator: "|")
                lines.append("| \(type) | \(side == .server ? "c → s" : "s → c") |\(row)|")
            }
        }
        return lines.joined(separator: "\n")
    }

    @Test("PROTOCOL.md has the table of the code")
    func protocolHasTheTable() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let place = root.appending(path: "docs/PROTOCOL.md").standardized
        let text = try String(contentsOf: place, encoding: .utf8)
        let (begin, end) = ("<!-- the table of FrameRules -->\n", "\n<!-- end of the table -->")
        let start = try #require(text.range(of: begin)?.upperBound)
        let stop = try #require(text.range(of: end)?.lowerBound)
        // How the table gets into the document after a change of the rules.
        if ProcessInfo.processInfo.environment["ONCEWIRE_WRITE_TABLES"] != nil {
            let new = text.replacingCharacters(in: start..<stop, with: Self.table)
            return try new.write(to: place, atomically: true, encoding: .utf8)
        }
        #expect(text[start..<stop] == Self.table, "run the tests once with ONCEWIRE_WRITE_TABLES=1")
    }
}
