// A world in memory: whole daemons, two clients and a server, on a kernel that is simulated (Tests/CWorld), with clocks,
// networks and machines that do what one seed says. A seed is a day; a day takes milliseconds. What is held against it
// are the promises (Promises.swift): every byte is the right one of the right stream, an end is orderly only if every
// byte came, nothing plain is on the wire, buffers are bounded, no loop spins, everything is released, and on a healthy
// network a new connection is served.
//
// The daemons are the product's own, unchanged: the C library's calls that they make are defined by CWorld under the
// same names. One file knows how they are made (Daemons.swift).
//
// Each day runs in a process of its own, so a crash is a broken promise like any other and days do not touch each other.
import CWorld
import Glibc

@main struct World {
    private var seeds = 300
    private var first: UInt64 = 1
    private var jobs = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    private var traces = false
    private var most = 5
    /// No process of its own: for a debugger.
    private var isHere = false

    static func main() {
        beDeterministic()
        var world = World()
        var arguments = CommandLine.arguments.dropFirst()
        while let option = arguments.popFirst() {
            switch option {
            case "--trace": world.traces = true
            case "--here": world.isHere = true
            case "--seeds", "--first", "--seed", "--jobs", "--failures":
                guard let text = arguments.popFirst(), let value = UInt64(text) else { usage() }
                switch option {
                case "--seeds": world.seeds = Int(value)
                case "--first": world.first = value
                case "--jobs": world.jobs = Int(value)
                case "--failures": world.most = Int(value)
                default: (world.first, world.seeds) = (value, 1)
                }
            default: usage()
            }
        }
        exit(world.run() ? 0 : 1)
    }

    private static func usage() -> Never {
        print("usage: world [--seeds N] [--first SEED] [--seed SEED [--trace] [--here]] [--jobs N] [--failures N]")
        exit(2)
    }

    /// Swift's hashes differ from process to process unless its environment says otherwise at the very start.
    private static func beDeterministic() {
        guard getenv("SWIFT_DETERMINISTIC_HASHING") == nil else { return }
        setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
        setenv("SWIFT_BACKTRACE", "enable=no", 0)
        execv("/proc/self/exe", CommandLine.unsafeArgv)
    }

    // MARK: Days

    private struct Child {
        let seed: UInt64
        let report: Int32
    }

    private func run() -> Bool {
        signal(SIGPIPE, SIG_IGN)
        cw_print_lines()
        var children: [pid_t: Child] = [:]
        var failed = 0
        var done = 0
        var next = 0
        var last = time(nil)
        var sums = TestDaemon.counted.map { _ in UInt64(0) }
        while next < seeds || !children.isEmpty {
            while next < seeds, children.count < jobs, failed < most {
                let seed = first + UInt64(next)
                next += 1
                let (pid, report) = start(seed)
                children[pid] = Child(seed: seed, report: report)
            }
            guard !children.isEmpty else { break }
            var status: Int32 = 0
            let pid = waitpid(-1, &status, 0)
            guard let child = children.removeValue(forKey: pid) else { continue }
            done += 1
            let said = text(child.report)
            if status != 0 {
                failed += 1
                print("seed \(child.seed): \(reason(status, said))\n    scripts/world --seed \(child.seed) --trace")
            } else {
                let numbers = said.split(separator: " ").compactMap { UInt64($0) }
                if numbers.count == sums.count { sums = zip(sums, numbers).map { $0 + $1 } }
            }
            close(child.report)
            if time(nil) - last >= 10 {
                last = time(nil)
                print("world: \(done) of \(seeds) days")
            }
        }
        let counted = zip(sums, TestDaemon.counted).map { "\($0) \($1)" }.joined(separator: ", ")
        print("world: \(done) days, \(failed) broken promises (\(counted))")
        return failed == 0
    }

    /// A process for one day, and where it says what was wrong.
    private func start(_ seed: UInt64) -> (pid_t, Int32) {
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { fatalError("pipe: \(errno)") }
        fflush(nil)
        let pid = isHere ? 0 : cw_fork()
        guard pid >= 0 else { fatalError("fork: \(errno)") }
        guard pid == 0 else {
            close(pipes[1])
            return (pid, pipes[0])
        }
        dup2(pipes[1], 3)
        // A day that takes so long of real time does not come to an end.
        if !isHere { alarm(traces ? 600 : 60) }
        cw_begin(seed, traces)
        Day(seed).run()
        fflush(nil)
        _exit(0)
    }

    private func text(_ report: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(report, &bytes, bytes.count)
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }

    private func reason(_ status: Int32, _ text: String) -> String {
        let number = status & 0x7F
        guard number != 0 else { return text.isEmpty ? "exit status \(status >> 8)" : String(text.dropLast()) }
        return number == SIGALRM ? "it does not come to an end" : "signal \(number) ended it"
    }
}
