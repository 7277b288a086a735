// One `oncewire` process: started, waited for, its CPU time read, ended by its pid.
import CHarness
import Glibc

/// A running daemon; ended when nothing refers to it any more, and at the latest with this process.
final class DaemonProcess {
    private let pid: pid_t
    private let clock: clockid_t
    /// The port in its ready line.
    let port: UInt16
    /// What it had written on standard error when it was ready.
    let errors: String

    /// Runs `oncewire ROLE --config FILE` in `directory` and waits until it is ready.
    init(_ oncewire: String, _ role: String, config: String, in directory: String) throws {
        let (output, log) = ("\(directory)/\(role).out", "\(directory)/\(role).err")
        pid = try Self.spawn([oncewire, role, "--config", config], directory, output, log)
        var clock = clockid_t()
        var ready: UInt16?
        // A second and more than that on a busy machine; it is ready in milliseconds.
        for _ in 0..<2000 where ready == nil {
            ready = Self.port(inReadyLine: text(of: output))
            if ready == nil { usleep(10_000) }
        }
        guard let ready, clock_getcpuclockid(pid, &clock) == 0 else {
            Self.end(pid)
            throw LadderError("\(oncewire) \(role) does not get ready: \(text(of: log))")
        }
        port = ready
        self.clock = clock
        errors = text(of: log)
    }

    deinit { Self.end(pid) }

    /// CPU time that the process has used, in nanoseconds.
    var cpuTime: UInt64 { Stopwatch.read(clock) }

    private static func port(inReadyLine text: String) -> UInt16? {
        guard text.hasSuffix("\n"), let digits = text.dropLast().split(separator: ":").last else { return nil }
        return UInt16(digits)
    }

    private static func spawn(_ arguments: [String], _ directory: String, _ output: String, _ log: String) throws
        -> pid_t
    {
        let words = (arguments + [directory, "/dev/null", output, log]).map { strdup($0) }
        defer { for word in words { free(word) } }
        var argv: [UnsafeMutablePointer<CChar>?] = Array(words.prefix(arguments.count)) + [nil]
        let files = Array(words.suffix(4))
        let pid = argv.withUnsafeMutableBufferPointer { argv in
            var command = ch_command(
                path: argv[0], arguments: argv.baseAddress, environment: environ, directory: files[0], input: files[1],
                output: files[2], errors: files[3], user: .max, group: .max)
            return ch_spawn(&command)
        }
        guard pid > 0 else { throw LadderError("cannot run \(arguments[0]): errno \(errno)") }
        return pid
    }

    /// Asks it to end, and ends it after five seconds.
    private static func end(_ pid: pid_t) {
        kill(pid, SIGTERM)
        var status: Int32 = 0
        for _ in 0..<500 {
            if waitpid(pid, &status, WNOHANG) != 0 { return }
            usleep(10_000)
        }
        kill(pid, SIGKILL)
        waitpid(pid, &status, 0)
    }
}

/// A small file as text; empty if it cannot be read.
private func text(of path: String) -> String {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return "" }
    defer { close(file) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 16384) { buffer, count in
        count = max(0, read(file, buffer.baseAddress, buffer.count))
    }
    return String(decoding: bytes, as: UTF8.self)
}
