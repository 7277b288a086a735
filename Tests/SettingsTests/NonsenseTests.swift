import Settings
import Testing

@Suite("Nonsense")
struct NonsenseTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    /// Pieces that mean something to YAML or to a setting; the last are beyond what any value may be.
    private static let pieces = [
        "\n", " ", "  ", ":", ": ", "-", "- ", "[", "]", "{", "}", ",", "#", "&a ", "*a", "!t ", "|", ">", "\"", "'",
        "%",
        "@", "`", "?", "? ", "---\n", "...\n", "<<: ", "~", "null", "\t", "\r", "\\", "\u{0}", "\u{85}", "\u{2028}",
        "\u{FEFF}", "é", "e\u{301}", "𝄞", "listen", "services", "key", "0", "-1", "5s", "99999999999999999999",
        "9223372036854775807d", "unix:", "[::1]:0", "owkey-",
    ].map { Array($0.utf8) }

    /// One random change to the bytes.
    private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        let end = min(bytes.count, at + Int.random(in: 0...8, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes.removeSubrange(at..<end)
        case 1: bytes.insert(contentsOf: Self.pieces.randomElement(using: &random) ?? [], at: at)
        case 2: bytes.replaceSubrange(at..<end, with: Self.pieces.randomElement(using: &random) ?? [])
        case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 4: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &random))
        default: bytes.insert(contentsOf: bytes[at...].prefix(Int.random(in: 0...300, using: &random)), at: at)
        }
    }

    @Test("However a good file is mangled, the outcome is settings that read back, or problems with places")
    func mutations() {
        let seeds = [Workshop.goodServer, Workshop.goodClient, AcceptanceTests.fullServer, AcceptanceTests.fullClient]
            .map { Array(workshop.filled($0).utf8) }
        var random = SplitMix(state: 1)
        var accepted = 0
        var refused = 0
        for round in 0..<6000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                mutate(&bytes, &random)
            }
            do throws(SettingsFailure) {
                let loaded = try SettingsFile.either(bytes, file: workshop.path("x.yaml"))
                accepted += 1
                do throws(SettingsFailure) {
                    let again = try SettingsFile.either(Array(loaded.rendering.utf8), file: "/x")
                    #expect(again == loaded)
                } catch {
                    Issue.record("\(error)\n\(loaded.rendering)")
                }
            } catch {
                refused += 1
                #expect(!error.problems.isEmpty)
                check(error.problems, in: bytes)
            }
        }
        // Both ends of the property were really exercised.
        #expect(accepted > 100)
        #expect(refused > 1000)
    }

    /// Places inside the file, in order, in one printable line each.
    private func check(_ problems: [Problem], in bytes: [UInt8]) {
        let places = problems.map { ($0.line, $0.column) }
        #expect(zip(places, places.dropFirst()).allSatisfy { $0 <= $1 })
        let lines = bytes.count { $0 == 0x0A || $0 == 0x0D } + 1
        for problem in problems {
            #expect((1...lines + 1).contains(problem.line) && (1...bytes.count + 1).contains(problem.column))
            #expect(!problem.description.unicodeScalars.contains { $0.value < 0x20 }, "\(problem)")
            #expect(problem.description.count < 1000)
        }
    }

    @Test("A file cut at any byte gives settings or problems")
    func prefixes() {
        let bytes = Array(workshop.filled(AcceptanceTests.fullServer).utf8)
        var refused = 0
        for count in 0..<bytes.count where !workshop.problems(bytes: Array(bytes.prefix(count))).isEmpty {
            refused += 1
        }
        // All up to the end of devices lack something; whole optional lines may be missing behind it.
        #expect(refused > bytes.count / 2)
    }

    @Test("Files made to be slow or large are refused without harm")
    func extremes() {
        for unit in [
            "a: b\n", "[", "{", "- ", "? ", "a: &a [*a]\n", "[]: []\n", "x", "\"", "'", "#", "\\", "-\n", "key-\n: ",
            "|\n ", ",", "listen: [", "\n", " ", "é",
        ] {
            let text = String(repeating: unit, count: (256 << 10) / unit.utf8.count)
            #expect(!workshop.problems(bytes: Array(text.utf8)).isEmpty)
        }
        let unknown = Workshop.goodServer + "\n" + (0..<60_000).map { "device\($0): 1\n" }.joined()
        #expect(workshop.problems(unknown).count == 100)
    }
}

/// Steele, Lea and Flood's generator: the same nonsense on every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
