// All that one test starts, in one place, so that nothing of it outlives the test.

import Foundation
import Glibc
import Synchronization

/// Runs a test with a scene of its own. When the test is over, everything it started is ended, newest
/// first; when it threw, what its processes wrote is printed.
func withScene(_ body: (Scene) async throws -> Void) async throws {
    let scene = try Scene()
    defer { scene.end() }
    do {
        try await body(scene)
    } catch {
        scene.printOutput()
        throw error
    }
}

/// A temporary directory, children and services of one test. Made by `withScene`.
final class Scene: Sendable {
    /// The test's own directory; short, because unix socket paths must be.
    let directory: String
    private let children = Mutex<[Child]>([])
    private let endings = Mutex<[@Sendable () -> Void]>([])

    fileprivate init() throws {
        var template = Array("/tmp/oncewire-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SocketError(call: "mkdtemp", code: errno) }
        directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Something to do at the end, before what was started earlier is ended.
    func atEnd(_ work: @escaping @Sendable () -> Void) { endings.withLock { $0.append(work) } }

    /// Keeps a service until the end.
    func keep(_ service: SampleService) -> SampleService {
        atEnd { service.stop() }
        return service
    }

    func echo(on endpoint: Endpoint = .loopback()) throws -> SampleService { keep(try .echo(on: endpoint)) }

    func service(
        on endpoint: Endpoint = .loopback(), _ handler: @escaping @Sendable (Socket) throws -> Void
    ) throws -> SampleService {
        keep(try SampleService(on: endpoint, handler: handler))
    }

    /// A port nobody listens on; a daemon may be told to.
    func reservedPort(on endpoint: Endpoint = .loopback()) throws -> ReservedPort {
        let port = try ReservedPort(on: endpoint)
        atEnd { port.close() }
        return port
    }

    /// Starts a child that is killed at the end.
    func start(
        _ program: String, _ arguments: [String], name: String? = nil, environment: [String: String] = [:],
        user: String? = nil, input: String = "/dev/null"
    ) throws -> Child {
        let known = children.withLock { $0.count }
        let base = name ?? "\(known)-\(URL(fileURLWithPath: program).lastPathComponent)"
        let child = try Child(
            program, arguments, name: base, in: directory, environment: environment, user: user, input: input)
        children.withLock { $0.append(child) }
        atEnd { child.kill() }
        return child
    }

    /// Runs a command to its end.
    func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], user: String? = nil,
        input: String = "/dev/null", within limit: Duration = .seconds(120)
    ) async throws -> Finished {
        let child = try start(program, arguments, environment: environment, user: user, input: input)
        let end = try await child.waitForEnd(within: limit)
        return Finished(end: end, output: child.output, errors: child.errors)
    }

    /// Runs `oncewire` with `arguments` to its end.
    func oncewire(_ arguments: String..., within limit: Duration = patience) async throws -> Finished {
        try await run(oncewireBinary, arguments, within: limit)
    }

    func write(_ text: String, to name: String, mode: mode_t = 0o644) throws {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        guard chmod(path(name), mode) == 0 else { throw SocketError(call: "chmod", code: errno) }
    }

    func printOutput() {
        for child in children.withLock({ $0 }) {
            let state = child.end.map { "\($0)" } ?? "running"
            print("--- \(child.name) (pid \(child.pid), \(state))")
            // The end tells most; a daemon at debug level may have written a great deal.
            for text in [child.output, child.errors] where !text.isEmpty { print(text.suffix(6000)) }
        }
    }

    fileprivate func end() {
        for work in endings.withLock({ $0 }).reversed() { work() }
        try? FileManager.default.removeItem(atPath: directory)
    }
}
