// The program behind scripts/fuzz: one of the targets under libFuzzer. Each target is a file of its own here.
//
//   fuzz TARGET [OPTIONS OF LIBFUZZER] [DIRECTORY OR FILE…]
//   fuzz --targets            their names, one a line
//   fuzz --seeds DIRECTORY    writes the inputs that every target begins with, DIRECTORY/TARGET/NAME
import CLibFuzzer
import Glibc

/// Takes inputs, and traps where one breaks what must hold for all of them.
protocol FuzzTarget {
    /// Well-formed inputs to begin with.
    static var seeds: [(name: String, bytes: [UInt8])] { get }
    init() throws
    /// Must leave nothing behind: the order of inputs says nothing.
    func run(_ input: [UInt8])
}

@main enum Fuzz {
    private static var targets: [(name: String, type: any FuzzTarget.Type)] {
        [
            ("wire", WireTarget.self), ("handshake", HandshakeTarget.self), ("settings", SettingsTarget.self),
            ("identity", IdentityTarget.self), ("ledger", LedgerTarget.self), ("carrier", CarrierTarget.self),
        ]
    }

    /// The one under test, for a callback that can hold nothing.
    nonisolated(unsafe) private static var current: (any FuzzTarget)?

    static func main() throws {
        let arguments = CommandLine.arguments
        switch (arguments.dropFirst().first, arguments.count) {
        case ("--targets", 2): for target in targets { print(target.name) }
        case ("--seeds", 3):
            for target in targets { try write(target.type.seeds, to: "\(arguments[2])/\(target.name)") }
        case (let name?, _):
            guard let target = targets.first(where: { $0.name == name }) else { return usage() }
            signal(SIGPIPE, SIG_IGN)  // as the daemons do
            current = try target.type.init()
            exit(run())
        case (nil, _): usage()
        }
    }

    private static func usage() {
        complain("usage: fuzz TARGET [OPTIONS OF LIBFUZZER] [CORPUS…] | --targets | --seeds DIRECTORY")
        exit(2)
    }

    private static func run() -> Int32 {
        var words: [UnsafeMutablePointer<CChar>?] = []
        for (index, word) in CommandLine.arguments.enumerated() where index != 1 { words.append(strdup(word)) }
        var count = Int32(words.count)
        words.append(nil)
        return words.withUnsafeMutableBufferPointer { words in
            var start = words.baseAddress
            return LLVMFuzzerRunDriver(&count, &start) { bytes, count in
                Fuzz.current?.run([UInt8](UnsafeBufferPointer(start: bytes, count: count)))
                return 0
            }
        }
    }

    private static func write(_ seeds: [(name: String, bytes: [UInt8])], to directory: String) throws {
        mkdir(directory, 0o755)
        for seed in seeds {
            guard let file = fopen("\(directory)/\(seed.name)", "w") else {
                throw Failure(what: "cannot write \(seed)")
            }
            fwrite(seed.bytes, 1, seed.bytes.count, file)
            fclose(file)
        }
    }
}

/// Why a target cannot begin.
struct Failure: Error {
    let what: String
}

/// Ends the process, which is a finding, unless `condition` holds.
func must(_ condition: @autoclosure () -> Bool, _ broken: @autoclosure () -> String) {
    guard !condition() else { return }
    complain("BROKEN: \(broken())")
    abort()
}

private func complain(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// The bytes of an input, from the front.
struct Bytes {
    private let all: [UInt8]
    private var next = 0

    init(_ all: [UInt8]) { self.all = all }

    var isEmpty: Bool { next == all.count }

    mutating func byte() -> UInt8 {
        guard next < all.count else { return 0 }
        defer { next += 1 }
        return all[next]
    }

    mutating func number() -> Int { Int(byte()) << 8 | Int(byte()) }

    mutating func wide() -> UInt64 { (0..<8).reduce(0) { sum, _ in sum << 8 | UInt64(byte()) } }

    /// The next `count` bytes, or what there is.
    mutating func some(_ count: Int) -> [UInt8] {
        let end = min(all.count, next + count)
        defer { next = end }
        return [UInt8](all[next..<end])
    }
}

/// An integer in network order.
func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) }
}
