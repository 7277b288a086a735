// Two real daemons with a service behind and an application in front of them, all on loopback.
import Glibc
import Pairing
import Settings

/// A tunnel of two `oncewire` processes. Only their CPU time is counted, not that of what stands at the ends.
final class RelayBench {
    private let server: DaemonProcess
    private let client: DaemonProcess
    private let directory: Directory
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)

    /// Starts the daemons of the program `oncewire`, which must be one that encrypts, or that does not.
    init(_ oncewire: String, encrypts: Bool, to service: LoopbackService) throws {
        buffer.initializeMemory(as: UInt8.self, repeating: 0x5a)
        directory = try Directory()
        let (serverKey, clientKey) = (Identity.generate(), Identity.generate())
        let common = "log: {level: warning}\nshards: 1\n"
        try serverKey.save(path: directory.file("server.key"))
        try clientKey.save(path: directory.file("client.key"))
        let serverConfig = try directory.write(
            "server.yaml",
            """
            listen: "127.0.0.1:0"
            identity: server.key
            services:
              ladder: {target: "127.0.0.1:\(service.port)"}
            devices:
              ladder: {key: "\(clientKey.publicKey.text)", services: [ladder]}
            \(common)
            """)
        server = try DaemonProcess(oncewire, "server", config: serverConfig, in: directory.path)
        let clientConfig = try directory.write(
            "client.yaml",
            """
            server: {address: "127.0.0.1:\(server.port)", key: "\(serverKey.publicKey.text)"}
            identity: client.key
            services:
              ladder: {listen: "127.0.0.1:0"}
            \(common)
            """)
        client = try DaemonProcess(oncewire, "client", config: clientConfig, in: directory.path)
        for daemon in [server, client] where daemon.errors.contains("DOES NOT ENCRYPT") == encrypts {
            throw LadderError("\(oncewire) is \(encrypts ? "a" : "no") build that does not encrypt")
        }
    }

    deinit { buffer.deallocate() }

    /// CPU time of both daemons for one round trip of `size` bytes: `batches` batches of `count`.
    func roundTrips(size: Int, batches: Int, count: Int) throws -> Cost {
        let connection = try connect(mode: "e")
        let message = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])
        func run() throws {
            for _ in 0..<count {
                try connection.send(UnsafeRawBufferPointer(message))
                try connection.receiveAll(message)
            }
        }
        try run()
        return Cost(try (0..<batches).map { _ in Double(try cpuTime(of: run)) / Double(count) })
    }

    /// CPU time of both daemons for each byte sent, and the bytes a nanosecond of the fastest batch.
    func bulk(_ size: Int, batches: Int) throws -> (cost: Cost, throughput: Double) {
        var (costs, best) = ([Double](), 0.0)
        for _ in 0..<batches {
            let connection = try connect(mode: "s")
            let start = Stopwatch.read(CLOCK_MONOTONIC)
            let time = try cpuTime {
                for _ in 0..<size / buffer.count { try connection.send(UnsafeRawBufferPointer(buffer)) }
                connection.finish()
                try connection.receiveAll(UnsafeMutableRawBufferPointer(rebasing: buffer[..<1]))
            }
            best = max(best, Double(size) / Double(Stopwatch.read(CLOCK_MONOTONIC) - start))
            costs.append(Double(time) / Double(size))
        }
        return (Cost(costs), best)
    }

    private func cpuTime(of body: () throws -> Void) rethrows -> UInt64 {
        let start = server.cpuTime + client.cpuTime
        try body()
        return server.cpuTime + client.cpuTime - start
    }

    private func connect(mode: Unicode.Scalar) throws -> LoopbackConnection {
        let connection = try LoopbackConnection(port: client.port)
        try withUnsafeBytes(of: UInt8(ascii: mode)) { try connection.send($0) }
        return connection
    }
}

/// A directory of its own, removed with what was put into it.
private final class Directory {
    let path: String

    init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/oncewire-ladder-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LadderError("no directory in \(parent): errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["server.key", "client.key"] { unlink(file(name)) }
        for role in ["server", "client"] { for suffix in ["yaml", "out", "err"] { unlink(file("\(role).\(suffix)")) } }
        rmdir(path)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file; its path.
    func write(_ name: String, _ text: String) throws -> String {
        let bytes = Array(text.utf8)
        let descriptor = open(file(name), O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw LadderError("cannot write \(name): errno \(errno)") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw LadderError("cannot write \(name)")
        }
        return file(name)
    }
}
