// The harness itself: what the other tests rely on must not be taken on trust.

import Glibc
import Testing

@Suite("The harness", .timeLimit(.minutes(2)))
struct HarnessTests {
    @Test("A child's output, exit code and signal are reported as they were")
    func child() async throws {
        try await withScene { scene in
            let finished = try await scene.run("/bin/sh", ["-c", "echo out; echo err >&2; pwd; exit 7"])
            #expect(finished.end == .exited(7))
            #expect(finished.output == "out\n\(scene.directory)\n")
            #expect(finished.errors == "err\n")

            let sleeper = try scene.start("/bin/sleep", ["1000"])
            #expect(sleeper.end == nil)
            #expect(sleeper.facts.threads == 1)
            #expect(sleeper.facts.residentBytes > 0)
            #expect(sleeper.facts.openDescriptors == 3)
            sleeper.signal(SIGTERM)
            #expect(try await sleeper.waitForEnd() == .signalled(SIGTERM))
        }
    }

    @Test("Nothing a scene started outlives it")
    func leavesNothing() async throws {
        var pid: pid_t = 0
        var directory = ""
        try await withScene { scene in
            directory = scene.directory
            pid = try scene.start("/bin/sleep", ["1000"]).pid
            #expect(kill(pid, 0) == 0)
        }
        #expect(kill(pid, 0) == -1)
        #expect(access(directory, F_OK) == -1)
    }

    @Test("A program that does not exist is an error, not a child")
    func noProgram() async throws {
        try await withScene { scene in
            #expect(throws: SpawnError.self) { try scene.start("/nonexistent/program", []) }
        }
    }

    @Test("The pattern is the same in pieces and whole, and its digest is that of its bytes")
    func pattern() {
        let whole = Pattern.bytes(seed: 5, count: 1000)
        var pattern = Pattern(seed: 5)
        #expect(pattern.bytes(1) + pattern.bytes(500) + pattern.bytes(499) == whole)
        #expect(Pattern.bytes(seed: 6, count: 1000) != whole)
        var hasher = Hasher256()
        whole.withUnsafeBytes { hasher.add($0) }
        #expect(hasher.digest() == Pattern.digest(seed: 5, count: 1000))
    }

    @Test("Directly, without a tunnel, an echo, a reset, a refusal and a hang look as the tests expect")
    func ends() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let answer = try await onThread {
                let socket = try Socket.connect(to: echo.endpoint)
                try socket.send("hello")
                try socket.finish()
                return try socket.receiveToEnd()
            }
            #expect(answer == Array("hello".utf8))

            let resetting = scene.keep(try .resetting(after: 3))
            let end = try await onThread {
                let socket = try Socket.connect(to: resetting.endpoint)
                try socket.send("abc")
                return try socket.receiveToAnyEnd().end
            }
            #expect(end == .reset)

            let refusing = try scene.reservedPort()
            await #expect(throws: SocketError(call: "connect to \(refusing.endpoint)", code: ECONNREFUSED)) {
                try await onThread { _ = try Socket.connect(to: refusing.endpoint) }
            }

            let hanging = try await onThread { try HangingTarget() }
            scene.atEnd { hanging.stop() }
            let error = await #expect(throws: SocketError.self) {
                try await onThread { _ = try Socket.connect(to: hanging.endpoint, timeout: .milliseconds(500)) }
            }
            #expect(error?.isTimeout == true)
        }
    }
}
