// The YAML reader, from bytes to settings, as a server's file and as a client's. What is accepted must render as YAML
// that is read back as the same settings; what is refused must say where, inside the file.
import Glibc
import Pairing
import Settings

/// Any bytes as a configuration file. Its directory has an identity, `own.key`.
final class SettingsTarget: FuzzTarget {
    private let directory: String

    init() throws {
        var template = Array("/tmp/oncewire-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(what: "no directory in /tmp") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try Identity.generate().save(path: "\(directory)/own.key")
        SettingsTarget.leftBehind = directory
        atexit {
            guard let directory = SettingsTarget.leftBehind else { return }
            unlink("\(directory)/own.key")
            rmdir(directory)
        }
    }

    nonisolated(unsafe) private static var leftBehind: String?

    func run(_ input: [UInt8]) {
        let file = "\(directory)/some.yaml"
        do throws(SettingsFailure) {
            let settings = try SettingsFile.server(input, file: file) { check($0, .warning, input) }
            let again = try? SettingsFile.server(Array(settings.rendering.utf8), file: "/elsewhere/else.yaml")
            must(again == settings, "a server's settings are not read back:\n\(settings.rendering)")
            must(again?.rendering == settings.rendering, "a server's settings have two renderings")
            must((try? SettingsFile.either(input, file: file)) == .server(settings), "a server's file that is none")
        } catch { check(error, input) }
        do throws(SettingsFailure) {
            let settings = try SettingsFile.client(input, file: file) { check($0, .warning, input) }
            let again = try? SettingsFile.client(Array(settings.rendering.utf8), file: "/elsewhere/else.yaml")
            must(again == settings, "a client's settings are not read back:\n\(settings.rendering)")
            must(again?.rendering == settings.rendering, "a client's settings have two renderings")
            must((try? SettingsFile.either(input, file: file)) == .client(settings), "a client's file that is none")
        } catch { check(error, input) }
    }

    private func check(_ failure: SettingsFailure, _ input: [UInt8]) {
        must(!failure.problems.isEmpty, "refused for no reason")
        must(failure.omitted >= 0 && failure.problems.count <= 100, "more problems than anybody reads")
        for problem in failure.problems { check(problem, .error, input) }
        let places = failure.problems.map { ($0.line, $0.column) }
        must(zip(places, places.dropFirst()).allSatisfy { $0 <= $1 }, "problems in another order than the file's")
    }

    private func check(_ problem: Problem, _ severity: Problem.Severity, _ input: [UInt8]) {
        must(problem.severity == severity, "an error is no warning: \(problem)")
        let texts = [problem.message, problem.hint ?? ""]
        for text in texts {
            let isOneLine = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F ~= $0.value) }
            must(isOneLine, "a message with a control character: \(problem)")
            must(text.utf8.count < 2000, "a message that nobody reads: \(problem)")
        }
        must(!problem.message.isEmpty, "a problem without words")
        // Only a file that is too large has no place; an input never is.
        must(problem.line >= 1 && problem.column >= 1, "a problem without a place: \(problem)")
        let lines = SettingsTarget.lines(of: input)
        must(problem.line <= lines.count, "line \(problem.line) of \(lines.count): \(problem)")
        let length = lines[problem.line - 1]
        must(problem.column <= length + 1, "column \(problem.column) of \(length): \(problem)")
    }

    /// How many characters each line has; the bytes after a last line end are a line, too.
    private static func lines(of input: [UInt8]) -> [Int] {
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = String(decoding: input.starts(with: byteOrderMark) ? input.dropFirst(3) : input[...], as: UTF8.self)
        var lines = [0]
        var previous: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            defer { previous = scalar }
            switch scalar {
            case "\n" where previous == "\r": break
            case "\n", "\r": lines.append(0)
            default: lines[lines.count - 1] += 1
            }
        }
        return lines
    }

    // MARK: Seeds

    static var seeds: [(name: String, bytes: [UInt8])] {
        let key = PublicKey(bytes: [UInt8](repeating: 5, count: 32)).text
        let server = """
            listen: "127.0.0.1:7700"
            identity: own.key
            services: {db: {target: "127.0.0.1:5432"}}
            devices:
              laptop: {key: \(key), services: [db]}

            """
        let client = """
            server: {address: "db.example.net:7700", key: \(key)}
            identity: own.key
            services: {db: {listen: "127.0.0.1:5432"}}

            """
        let more = [
            "conversation: {ratchet-every: 15min, idle-timeout: 1h, lifetime: 1d}\n",
            "admission: {pairings-per-second: 20, first-byte-timeout: 5s}\n",
            "carriers: {heartbeat: 10s, rekey: {frames: 1000, bytes: 1GiB, every: 1h}}\n",
            "log: {level: warning}\nshards: 2\n",
            "pool: {min-idle: 2, max-idle: 64}\n", "pool: {floor: 2, cap: 64}\n",
            "waiting:\n  connections: 10\n  timeout: 10s\n", "heartbeat: 10s\n", "limits: {}\n",
            "drain: 1500ms\nlog: {level: debug}\n",
            "limits: {connections: 100, streams-per-device: 50, backlog-per-device: 3MiB}\n", "polling: off\n",
            "nonsense: 1\n",
            "listen: x\n",
        ]
        let slips = [
            "", "# nothing\n", "- a\n", "listen: \"abc\n", "a: *b\n", "a: &b c\n", "a: !b c\n",
            "%YAML 1.1\n---\na: b\n",
            "a: {b: [c, d\n", "\tlisten: x\n", "listen: \u{201C}x\u{201D}\n", "a: b: c\n", "listen: *:7700\n",
            "\u{FEFF}a: b\r\nc: d\r",
            "? [a]\n: b\n", "a: |\n  b\n c\n", "a: \"\\q\"\n", "<<: {a: b}\n", "a: b\na: c\n", "---\n...\n---\n",
        ]
        let bad = slips.enumerated().map { ("slip-\($0)", [UInt8]($1.utf8)) }
        let servers = ([""] + more).enumerated().map { ("server-\($0)", [UInt8]((server + $1).utf8)) }
        let clients = ([""] + more).enumerated().map { ("client-\($0)", [UInt8]((client + $1).utf8)) }
        return servers + clients + bad
    }
}
