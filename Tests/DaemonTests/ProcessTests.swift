// What the real binary makes of its process: descriptors, file modes, limits, what the service manager hears.

import Foundation
import Glibc
import Testing

@Suite("The process", .timeLimit(.minutes(2)))
struct ProcessTests {
    /// Starts a daemon through a shell that first does `preparation`; it replaces the shell and keeps its pid.
    private func start(
        _ role: String, in scene: Scene, after preparation: String = "", redirected: String = "",
        environment: [String: String] = [:]
    ) throws -> Child {
        let path = scene.path("\(role).yaml")
        let script = "\(preparation)\nexec \"$0\" \(role) --config \"$1\" \(redirected)"
        return try scene.start("/bin/sh", ["-c", script, oncewireBinary, path], environment: environment)
    }

    /// Two daemons' files, and none started.
    private func files(in scene: Scene) async throws -> Tunnel {
        let plan = TunnelPlan(services: [
            .init(name: "sample", target: "127.0.0.1:1", listen: ["127.0.0.1:0", "unix:app.sock"])
        ]).with { $0.serverListen = ["127.0.0.1:0", "unix:server.sock"] }
        let tunnel = try await scene.prepareTunnel(plan)
        try scene.write(
            plan.clientYAML(serverAddress: .loopback(1), serverKey: tunnel.serverKey), to: "client.yaml")
        return tunnel
    }

    private func stop(_ child: Child) async throws {
        child.signal(SIGTERM)
        #expect(try await child.waitForEnd() == .exited(0))
    }

    // MARK: The service manager

    @Test(
        "The service manager hears READY=1 when the listeners are bound and STOPPING=1 at SIGTERM, by both kinds of name",
        arguments: ["server", "client"], [false, true])
    func notifications(role: String, isAbstract: Bool) async throws {
        try await withScene { scene in
            _ = try await files(in: scene)
            let manager = try ServiceManagerSocket(
                name: isAbstract ? "@oncewire-test-\(getpid())-\(UInt32.random(in: 0 ... .max))" : scene.path("notify"))
            let child = try start(role, in: scene, environment: ["NOTIFY_SOCKET": manager.name])
            #expect(try await onThread { try manager.next() } == "READY=1")
            // It is said once, after the line for people.
            #expect(child.output.hasPrefix("oncewire \(role) ready: "))
            let socket = scene.path(role == "server" ? "server.sock" : "app.sock")
            #expect(FileManager.default.fileExists(atPath: socket))
            child.signal(SIGTERM)
            #expect(try await onThread { try manager.next() } == "STOPPING=1")
            #expect(try await child.waitForEnd() == .exited(0))
        }
    }

    @Test("A daemon that cannot start never says that it is ready")
    func notReady() async throws {
        try await withScene { scene in
            _ = try await files(in: scene)
            let manager = try ServiceManagerSocket(name: scene.path("notify"))
            let bad = try start(
                "server", in: scene, after: "rm server.key", environment: ["NOTIFY_SOCKET": manager.name])
            #expect(try await bad.waitForEnd() == .exited(78))
            #expect(manager.pending == nil)
        }
    }

    // MARK: Files

    @Test(
        "Sockets of the daemons are for their user and group, whatever umask they are started with",
        arguments: ["0", "0777"])
    func fileModes(mask: String) async throws {
        try await withScene { scene in
            _ = try await files(in: scene)
            let manager = try ServiceManagerSocket(name: scene.path("notify"))
            for (role, socket) in [("server", "server.sock"), ("client", "app.sock")] {
                let child = try start(
                    role, in: scene, after: "umask \(mask)", environment: ["NOTIFY_SOCKET": manager.name])
                #expect(try await onThread { try manager.next() } == "READY=1")
                #expect(try status(of: child, "Umask") == "0007")
                var facts = stat()
                #expect(stat(scene.path(socket), &facts) == 0)
                #expect(facts.st_mode & 0o7777 == 0o770, "\(role)")
                child.signal(SIGTERM)
                #expect(try await onThread { try manager.next() } == "STOPPING=1")
                #expect(try await child.waitForEnd() == .exited(0))
            }
        }
    }

    @Test("keygen's file is for its owner alone, whatever umask it is started with", arguments: ["0", "0777"])
    func keyMode(mask: String) async throws {
        try await withScene { scene in
            let made = try await scene.run(
                "/bin/sh", ["-c", "umask \(mask); exec \"$0\" keygen --identity new.key", oncewireBinary])
            #expect(made.succeeded, "\(made.errors)")
            var facts = stat()
            #expect(stat(scene.path("new.key"), &facts) == 0)
            #expect(facts.st_mode & 0o7777 == 0o600)
        }
    }

    // MARK: Descriptors

    @Test(
        "A daemon that is started without descriptors 0 to 2 opens them before anything else can get their numbers",
        arguments: ["server", "client"])
    func standardDescriptors(role: String) async throws {
        try await withScene { scene in
            _ = try await files(in: scene)
            let manager = try ServiceManagerSocket(name: scene.path("notify"))
            let child = try start(
                role, in: scene, redirected: "<&- >&- 2>&-", environment: ["NOTIFY_SOCKET": manager.name])
            #expect(try await onThread { try manager.next() } == "READY=1")
            for descriptor in 0...2 {
                let target = try FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(child.pid)/fd/\(descriptor)")
                #expect(target == "/dev/null", "descriptor \(descriptor)")
            }
            try await stop(child)
        }
    }

    @Test("keygen without descriptors 0 to 2 writes its key file and nothing else into it")
    func keygenWithoutDescriptors() async throws {
        try await withScene { scene in
            let made = try await scene.run(
                "/bin/sh", ["-c", "exec \"$0\" keygen --identity new.key <&- >&- 2>&-", oncewireBinary])
            #expect(made.succeeded)
            let lines = try String(contentsOfFile: scene.path("new.key"), encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 4 && lines.last?.hasPrefix("owkey-") == true)
            #expect(try await scene.oncewire("pubkey", "--identity", scene.path("new.key")).succeeded)
        }
    }

    // MARK: Limits

    @Test(
        "The daemons raise their soft limits of descriptors and of locked memory to the hard ones",
        arguments: ["server", "client"])
    func limits(role: String) async throws {
        try await withScene { scene in
            _ = try await files(in: scene)
            let manager = try ServiceManagerSocket(name: scene.path("notify"))
            let child = try start(
                role, in: scene,
                after: "ulimit -S -n 200 || exit 91; ulimit -H -n 1500 || exit 92; ulimit -S -l 40 || exit 93",
                environment: ["NOTIFY_SOCKET": manager.name])
            #expect(try await onThread { try manager.next() } == "READY=1")
            let files = try limit(of: child, "Max open files")
            #expect(files.soft == "1500" && files.hard == "1500")
            let memory = try limit(of: child, "Max locked memory")
            #expect(memory.soft == memory.hard && memory.soft != "40960")
            try await stop(child)
        }
    }
}

// MARK: - The release binary

@Suite("The release binary", .enabled(if: releaseBinary != nil), .timeLimit(.minutes(2)))
struct ReleaseBinaryTests {
    @Test(
        "Neither a core file nor another process of its user shows a daemon's memory", arguments: ["server", "client"])
    func memoryIsClosed(role: String) async throws {
        try await withScene { scene in
            let binary = scene.path("oncewire")
            try FileManager.default.copyItem(atPath: try #require(releaseBinary), toPath: binary)
            let plan = TunnelPlan(services: [.init(name: "sample", target: "127.0.0.1:1", listen: ["127.0.0.1:0"])])
            let tunnel = try await scene.prepareTunnel(plan)
            try scene.write(
                plan.clientYAML(serverAddress: .loopback(1), serverKey: tunnel.serverKey), to: "client.yaml")
            // Somebody who is not root: what is root's in /proc shows nothing about root's own processes.
            let nobody = try #require(getpwnam("nobody"))
            let isRoot = geteuid() == 0
            if isRoot {
                chmod(scene.directory, 0o755)
                for file in ["server.key", "client.key"] {
                    #expect(chown(scene.path(file), nobody.pointee.pw_uid, nobody.pointee.pw_gid) == 0)
                }
            }
            let user = isRoot ? nobody.pointee.pw_uid : geteuid()
            func start(_ program: String, _ arguments: [String]) throws -> Child {
                try scene.start(program, arguments, user: isRoot ? "nobody" : nil)
            }
            let child = try start(
                "/bin/sh",
                [
                    "-c", "ulimit -S -c unlimited; exec \"$0\" \"$1\" --config \"$2\"", binary, role,
                    scene.path("\(role).yaml"),
                ])
            try await eventually("it is ready") { child.output.contains("ready: ") || child.end != nil }
            try #require(child.end == nil, "\(child.errors)")
            #expect(try limit(of: child, "Max core file size") == ("0", "0"))

            // The kernel gives what belongs to a process in /proc to root when PR_SET_DUMPABLE is 0 (proc(5)).
            let open = try start("/bin/sleep", ["60"])
            try await eventually("sleep runs") { owner(of: open) == user }
            #expect(owner(of: child) == 0)
            #expect(try status(of: child, "Uid").hasPrefix("\(user)"))
            child.signal(SIGTERM)
            #expect(try await child.waitForEnd() == .exited(0))
        }
    }

    private func owner(of child: Child) -> uid_t? {
        var facts = stat()
        return stat("/proc/\(child.pid)/environ", &facts) == 0 ? facts.st_uid : nil
    }
}

// MARK: - /proc

/// The value of one line of a process's status.
private func status(of child: Child, _ name: String) throws -> String {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/status", encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("\(name):") })
    return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
}

/// A limit of a process as the kernel shows it.
private func limit(of child: Child, _ name: String) throws -> (soft: String, hard: String) {
    let text = try String(contentsOfFile: "/proc/\(child.pid)/limits", encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name) })
    let fields = line.dropFirst(name.count).split(separator: " ")
    return (String(fields[0]), String(fields[1]))
}

/// What systemd opens for sd_notify(3): a datagram socket with a name in the file system, or an abstract one.
private final class ServiceManagerSocket: Sendable {
    let name: String
    private let descriptor: Int32

    init(name: String) throws {
        self.name = name
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard bound == 0 else { throw SocketError(call: "bind", code: errno) }
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// The next message, which may take a while; blocks.
    func next() throws -> String {
        guard let message = receive(flags: 0) else { throw SocketError(call: "recv", code: errno) }
        return message
    }

    /// The message that is there already, if there is one.
    var pending: String? { receive(flags: Int32(MSG_DONTWAIT)) }

    private func receive(flags: Int32) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, flags)
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
