// A child process: spawned with its output in files, ended by its pid, never left behind.

import CHarness
import Foundation
import Glibc
import Synchronization

/// How a process ended.
enum ProcessEnd: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)
}

struct SpawnError: Error, CustomStringConvertible {
    let path: String
    let code: Int32
    var description: String { "cannot run \(path): \(String(cString: strerror(code)))" }
}

final class Child: Sendable {
    let name: String
    let pid: pid_t
    let outputPath: String
    let errorPath: String
    private let ended = Mutex<ProcessEnd?>(nil)

    /// Runs `path` with `arguments`; its standard output and error go to `NAME.out` and `NAME.err` in
    /// `directory`, its standard input is `input` or empty. It dies with the test process.
    init(
        _ path: String, _ arguments: [String], name: String, in directory: String,
        environment: [String: String] = [:], user: String? = nil, input: String = "/dev/null"
    ) throws {
        self.name = name
        outputPath = "\(directory)/\(name).out"
        errorPath = "\(directory)/\(name).err"
        pid = try Spawner.shared.spawn(
            path, arguments, environment: environment, user: user, directory: directory, input: input,
            output: outputPath, errors: errorPath)
    }

    deinit { kill() }

    /// What it has written to its standard output so far.
    var output: String { text(of: outputPath) }

    /// What it has written to its standard error so far.
    var errors: String { text(of: errorPath) }

    private func text(of path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    /// How it ended, or nil while it runs.
    var end: ProcessEnd? {
        ended.withLock { ended in
            if ended == nil { ended = Self.reap(pid, options: WNOHANG) }
            return ended
        }
    }

    /// Sends a signal if it still runs. A pid that was reaped is never signalled: it may be another's.
    func signal(_ number: Int32) {
        ended.withLock { ended in
            if ended == nil { ended = Self.reap(pid, options: WNOHANG) }
            if ended == nil { _ = Glibc.kill(pid, number) }
        }
    }

    /// Ends it at once and whatever it does, and leaves no zombie.
    func kill() {
        ended.withLock { ended in
            if ended == nil { ended = Self.reap(pid, options: WNOHANG) }
            guard ended == nil else { return }
            _ = Glibc.kill(pid, SIGKILL)
            ended = Self.reap(pid, options: 0)
        }
    }

    /// Asks it to end with a signal, and ends it at once when it has not done so within `limit`. Blocks.
    func end(with number: Int32, within limit: Duration = .seconds(5)) {
        signal(number)
        let deadline = ContinuousClock.now + limit
        while end == nil, ContinuousClock.now < deadline { usleep(2000) }
        kill()
    }

    /// Waits until it has ended by itself.
    func waitForEnd(within limit: Duration = patience) async throws -> ProcessEnd {
        try await eventually("\(name) (pid \(pid)) ends", within: limit) { end }
    }

    private static func reap(_ pid: pid_t, options: Int32) -> ProcessEnd? {
        var status: Int32 = 0
        while true {
            let result = waitpid(pid, &status, options)
            if result == pid {
                return status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .signalled(status & 0x7f)
            }
            if result == 0 { return nil }
            precondition(errno == EINTR, "waitpid(\(pid)): somebody else reaped it")
        }
    }
}

/// One thread that spawns every child and lives as long as the process: the kernel ties PDEATHSIG to
/// the thread that made the child.
private final class Spawner: Sendable {
    static let shared = Spawner()
    private let requests = Mutex<[@Sendable () -> Void]>([])
    private let bell = DispatchSemaphore(value: 0)

    private init() {
        startThread { [self] in
            while true {
                bell.wait()
                let work = requests.withLock { $0.removeFirst() }
                work()
            }
        }
    }

    func spawn(
        _ path: String, _ arguments: [String], environment: [String: String], user: String?, directory: String,
        input: String, output: String, errors: String
    ) throws -> pid_t {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result<pid_t, SpawnError>?>(nil)
        requests.withLock {
            $0.append {
                let spawned = Result { () throws(SpawnError) -> pid_t in
                    try spawnHere(
                        path, arguments, environment: environment, user: user,
                        files: [directory, input, output, errors])
                }
                result.withLock { $0 = spawned }
                done.signal()
            }
        }
        bell.signal()
        done.wait()
        return try result.withLock { try $0!.get() }
    }
}

/// `files` are the working directory, standard input, output and error.
private func spawnHere(
    _ path: String, _ arguments: [String], environment: [String: String], user: String?, files: [String]
) throws(SpawnError) -> pid_t {
    var ids: (user: uid_t, group: gid_t) = (.max, .max)
    if let user, let entry = getpwnam(user) { ids = (entry.pointee.pw_uid, entry.pointee.pw_gid) }
    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = merged.map { strdup("\($0.key)=\($0.value)") } + [nil]
    let names = files.map { strdup($0) }
    defer { for copy in argv + envp + names { free(copy) } }
    let pid = argv.withUnsafeMutableBufferPointer { argv in
        envp.withUnsafeMutableBufferPointer { envp in
            var command = ch_command(
                path: argv[0], arguments: argv.baseAddress, environment: envp.baseAddress, directory: names[0],
                input: names[1], output: names[2], errors: names[3], user: ids.user, group: ids.group)
            return ch_spawn(&command)
        }
    }
    guard pid > 0 else { throw SpawnError(path: path, code: errno) }
    return pid
}
