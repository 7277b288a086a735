// The ladder: what each layer of Oncewire costs, measured one upon the other. scripts/ladder builds and runs it.
import Codec
import Glibc

@main
struct Ladder {
    /// The rungs, the lowest first.
    static let rungs = ["drbg", "encode", "decode", "pipe", "relay", "pairing"]

    static let usage = """
        usage: ladder [--only RUNG] [--json] [--plaintext FILE]
               ladder count (encode|decode) SIZE N
               ladder count (drbg|pipe|pairing|resume) N

        RUNG is one of: \(rungs.joined(separator: ", ")). `relay` runs the `oncewire` next to this program, and
        FILE, an `oncewire` that does not encrypt (scripts/ladder builds it). `count` does something N times for
        scripts/count-instructions.

        """

    static func main() {
        signal(SIGPIPE, SIG_IGN)
        Libcrypto.stayUntilTheEnd()
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            if arguments.first == "count" {
                try count(Array(arguments.dropFirst()))
            } else {
                let options = try Options(arguments)
                print(options.isJSON ? try table(options).json : try table(options).markdown)
            }
        } catch let error as LadderError {
            say("\(error.text)")
            exit(error.isUsage ? 64 : 1)
        } catch {
            say("\(error)")
            exit(1)
        }
    }

    private static func table(_ options: Options) throws -> Table {
        var table = Table()
        for rung in rungs where options.only == nil || options.only == rung {
            say("\(rung)")
            switch rung {
            case "drbg": try measureDerivation(&table)
            case "encode": try measureEncoding(&table)
            case "decode": try measureDecoding(&table)
            case "pipe": try measurePipe(&table)
            case "relay": try measureRelay(&table, plaintext: options.plaintext)
            default: try measurePairing(&table)
            }
        }
        return table
    }
}

/// One line on standard error: standard output is for the table.
func say(_ text: String) {
    let line = Array("ladder: \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// What the ladder was called with.
private struct Options {
    var only: String?
    var isJSON = false
    var plaintext: String?

    init(_ arguments: [String]) throws(LadderError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--json": isJSON = true
            case "--only":
                guard let rung = rest.popFirst(), Ladder.rungs.contains(rung) else { throw .usage }
                only = rung
            case "--plaintext":
                guard let path = rest.popFirst() else { throw .usage }
                plaintext = path
            default: throw .usage
            }
        }
    }
}

/// Why the ladder gave up.
struct LadderError: Error {
    let text: String
    var isUsage = false

    init(_ text: String) { self.text = text }

    /// Called with words it does not know.
    static var usage: LadderError {
        var error = LadderError(Ladder.usage)
        error.isUsage = true
        return error
    }
}
