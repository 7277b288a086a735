import Foundation
import Pairing
import Settings
import Testing
import Wire

@Suite("Configurations that are accepted")
struct AcceptanceTests {
    let workshop: Workshop
    let postgres: ServiceID
    let redis: ServiceID

    init() throws {
        workshop = try Workshop()
        postgres = try #require(ServiceID("postgres"))
        redis = try #require(ServiceID("redis"))
    }

    @Test("A short server file gives its values and every default")
    func shortServer() throws {
        let settings = try workshop.server(Workshop.goodServer)
        let expected = ServerSettings(
            listen: [.tcp(host: "127.0.0.1", port: 7700)], identity: workshop.server,
            identityPath: workshop.path("server.key"),
            services: [postgres: ServerService(target: .tcp(host: "127.0.0.1", port: 5432))],
            devices: [Device(name: "laptop", key: workshop.client.publicKey, services: [postgres])])
        #expect(settings == expected)
        #expect(settings.services[postgres]?.connectTimeout == .seconds(5))
        #expect(
            settings.conversation
                == Lifetimes(epoch: .seconds(900), idle: .seconds(3600), lifetime: .seconds(86_400)))
        #expect(settings.admission.firstByte == .seconds(5))
        #expect(settings.admission.handshake == .seconds(20))
        #expect(settings.admission.pairRate == 20)
        #expect(settings.admission.pairBurst == 40)
        #expect(settings.admission.pendingPairs == 256)
        checkCommonDefaults(settings.common)
    }

    @Test("A short client file gives its values and every default")
    func shortClient() throws {
        let settings = try workshop.client(Workshop.goodClient)
        let expected = ClientSettings(
            server: .tcp(host: "127.0.0.1", port: 7700), serverKey: workshop.server.publicKey,
            identity: workshop.client, identityPath: workshop.path("client.key"),
            services: [postgres: ClientService(listen: [.tcp(host: "127.0.0.1", port: 5432)])])
        #expect(settings == expected)
        #expect(settings.services[postgres]?.carrier == .shared)
        #expect(settings.timeouts.connect == .seconds(10))
        #expect(settings.timeouts.answer == .seconds(15))
        #expect(settings.pool.floor == 2)
        #expect(settings.pool.cap == 64)
        #expect(settings.waiting.most == 16384)
        #expect(settings.waiting.atMost == .seconds(10))
        checkCommonDefaults(settings.common)
    }

    private func checkCommonDefaults(_ common: CommonSettings) {
        #expect(common.shards == 0)
        #expect(common.heartbeat == .seconds(10))
        #expect(common.deadAfter == .seconds(30))
        #expect(common.rekey.frames == 1_048_576)
        #expect(common.rekey.bytes == 17_179_869_184)
        #expect(common.rekey.every == .seconds(900))
        #expect(common.drain == .seconds(4))
        #expect(common.maxConnections == 100_000)
        #expect(common.logLevel == .info)
    }

    static let fullServer = """
        listen: ["[::1]:7700", "127.0.0.1:0", "127.0.0.1:0", unix:run/ow.sock]
        identity: ./server.key
        services:
          postgres: {target: db.Example.net:5432, connect-timeout: 250ms}
          redis: {target: "unix:/run/redis.sock"}
          "0": {target: "[::1]:1"}
          null: {target: "[::1]:2"}
        devices:
          laptop: {key: "KEY", services: postgres}
          ada@tablet: {key: OTHER, services: [redis, "0", "null"]}
        conversation: {ratchet-every: 1m, idle-timeout: 2h, lifetime: 3d}
        admission: {first-byte-timeout: 1s, handshake-timeout: 2s, pairings-per-second: 3, pairings-at-once: 4, pairings-waiting: 5}
        carriers: {heartbeat: 200ms, dead-after: 700ms, rekey: {frames: 100, bytes: 65536, every: 90s}}
        shards: 2
        drain: 0s
        limits: {connections: 12, streams-per-device: 7, backlog-per-device: 3MiB}
        log: {level: debug}
        """

    static let fullClient = """
        server:
          address: "[2001:db8::1]:7700"
          key: OWN
          connect-timeout: 2s
          answer-timeout: 1m
        identity: client.key
        services:
          postgres: {listen: ["127.0.0.1:5432", "[::1]:5432"]}
          redis: {listen: unix:/run/redis.sock, carrier: own}
          web: {listen: "127.0.0.1:80", carrier: shared}
        pool: {min-idle: 0, max-idle: 7}
        waiting: {connections: 0, timeout: 1m}
        carriers: {heartbeat: 1s}
        shards: auto
        drain: 1h
        log: {level: error}
        """

    @Test("Every key of a server's file arrives where it belongs")
    func everyServerKey() throws {
        let settings = try workshop.server(Self.fullServer)
        let zero = try #require(ServiceID("0"))
        let null = try #require(ServiceID("null"))
        let expected = ServerSettings(
            listen: [
                .tcp(host: "::1", port: 7700), .tcp(host: "127.0.0.1", port: 0), .tcp(host: "127.0.0.1", port: 0),
                .unix(path: workshop.path("run/ow.sock")),
            ],
            identity: workshop.server, identityPath: workshop.path("./server.key"),
            services: [
                postgres: ServerService(
                    target: .tcp(host: "db.example.net", port: 5432), connectTimeout: .milliseconds(250)),
                redis: ServerService(target: .unix(path: "/run/redis.sock")),
                zero: ServerService(target: .tcp(host: "::1", port: 1)),
                null: ServerService(target: .tcp(host: "::1", port: 2)),
            ],
            devices: [
                Device(name: "laptop", key: workshop.client.publicKey, services: [postgres]),
                Device(name: "ada@tablet", key: workshop.tablet.publicKey, services: [redis, zero, null]),
            ],
            conversation: Lifetimes(epoch: .seconds(60), idle: .seconds(7200), lifetime: .seconds(259_200)),
            common: CommonSettings(
                shards: 2, heartbeat: .milliseconds(200), deadAfter: .milliseconds(700),
                rekey: RekeySettings(frames: 100, bytes: 65_536, every: .seconds(90)), drain: .zero,
                maxConnections: 12, logLevel: .debug),
            admission: AdmissionSettings(
                firstByte: .seconds(1), handshake: .seconds(2), pairRate: 3, pairBurst: 4, pendingPairs: 5),
            deviceLimits: DeviceLimits(streams: 7, backlog: 3 << 20))
        #expect(settings == expected)
    }

    @Test("Every key of a client's file arrives where it belongs")
    func everyClientKey() throws {
        let settings = try workshop.client(Self.fullClient)
        let web = try #require(ServiceID("web"))
        let expected = ClientSettings(
            server: .tcp(host: "2001:db8::1", port: 7700), serverKey: workshop.server.publicKey,
            timeouts: ServerTimeouts(connect: .seconds(2), answer: .seconds(60)), identity: workshop.client,
            identityPath: workshop.path("client.key"),
            services: [
                postgres: ClientService(listen: [.tcp(host: "127.0.0.1", port: 5432), .tcp(host: "::1", port: 5432)]),
                redis: ClientService(listen: [.unix(path: "/run/redis.sock")], carrier: .own),
                web: ClientService(listen: [.tcp(host: "127.0.0.1", port: 80)], carrier: .shared),
            ],
            pool: PoolSettings(floor: 0, cap: 7), waiting: WaitingSettings(most: 0, atMost: .seconds(60)),
            common: CommonSettings(heartbeat: .seconds(1), drain: .seconds(3600), logLevel: .error))
        #expect(settings == expected)
    }

    @Test("Which side a file is for is told by its content")
    func either() throws {
        let server = try workshop.write(workshop.filled(Workshop.goodServer), to: "one.yaml")
        let client = try workshop.write(workshop.filled(Workshop.goodClient), to: "two.yaml")
        #expect(try SettingsFile.load(path: server) == .server(SettingsFile.loadServer(path: server)))
        #expect(try SettingsFile.load(path: client) == .client(SettingsFile.loadClient(path: client)))
    }

    @Test(
        "Line ends, a byte order mark, a document marker, comments and JSON make no difference",
        arguments: [
            { $0.replacing("\n", with: "\r\n") }, { "\u{FEFF}" + $0 }, { "---\n" + $0 + "\n...\n" },
            { "# ü\n\n" + $0 + " # ü" }, { $0 + "\n" }, { $0.replacing("\n", with: " # remark\n") },
            { _ in
                """
                {"listen": ["127.0.0.1:7700"], "identity": "server.key",
                 "services": {"postgres": {"target": "127.0.0.1:5432"}},
                 "devices": {"laptop": {"key": "KEY", "services": ["postgres"]}}}
                """
            },
        ] as [@Sendable (String) -> String])
    func spellings(change: @Sendable (String) -> String) throws {
        #expect(try workshop.server(change(Workshop.goodServer)) == workshop.server(Workshop.goodServer))
    }

    @Test("A server may know no device yet, and a device may have no service yet")
    func nothingYet() throws {
        let nobody = Workshop.goodServer.split(separator: "\n").prefix(4).joined(separator: "\n") + "\ndevices: {}\n"
        #expect(try workshop.server(nobody).devices == [])
        let nothing = try workshop.server(Workshop.goodServer.replacing("[postgres]", with: "[]"))
        #expect(nothing.devices.map(\.services) == [[]])
    }

    @Test("Log levels are ordered from trace to error")
    func logLevels() {
        #expect(LogLevel.allCases.map(\.rawValue) == ["trace", "debug", "info", "notice", "warning", "error"])
        #expect(LogLevel.allCases == LogLevel.allCases.sorted())
        #expect(LogLevel.debug < .info)
    }

    // MARK: Rendering

    @Test("What a server's settings are shown as reads back to equal settings")
    func serverRendering() throws {
        for text in [Workshop.goodServer, Self.fullServer] {
            let settings = try workshop.server(text)
            // From another directory: what is shown has no relative paths.
            let again = try SettingsFile.server(Array(settings.rendering.utf8), file: "/elsewhere/x.yaml")
            #expect(again == settings, "\(settings.rendering)")
            #expect(again.rendering == settings.rendering)
        }
    }

    @Test("What a client's settings are shown as reads back to equal settings")
    func clientRendering() throws {
        for text in [Workshop.goodClient, Self.fullClient] {
            let settings = try workshop.client(text)
            let again = try SettingsFile.client(Array(settings.rendering.utf8), file: "/elsewhere/x.yaml")
            #expect(again == settings, "\(settings.rendering)")
            #expect(again.rendering == settings.rendering)
        }
    }

    @Test("What carries a service's streams is shown for each service")
    func carrierRendering() throws {
        let rendering = try workshop.client(Self.fullClient).rendering
        let shown = rendering.split(separator: "\n").filter { $0.hasPrefix("    carrier: ") }
        #expect(shown == ["    carrier: shared", "    carrier: own", "    carrier: shared"], "\(rendering)")
    }

    @Test("Random settings read back equal from what they are shown as")
    func randomRendering() throws {
        for _ in 0..<200 {
            let unit = [Duration.milliseconds(1), .seconds(1), .seconds(60), .seconds(3600)].randomElement() ?? .zero
            var settings = try workshop.server(Self.fullServer)
            settings.common.heartbeat = min(unit * Int.random(in: 1...50), .seconds(3600))
            settings.common.deadAfter = settings.common.heartbeat + .milliseconds(Int.random(in: 1...10_000))
            settings.common.rekey.bytes = UInt64.random(in: 65_536...(1 << 50)) >> UInt64.random(in: 0...20) | 65_536
            settings.common.rekey.frames = .random(in: 16...(1 << 48))
            settings.common.rekey.every = .milliseconds(Int.random(in: 100...86_400_000))
            settings.common.logLevel = LogLevel.allCases.randomElement() ?? .info
            let epoch = Int.random(in: 1...86_400)
            settings.conversation = Lifetimes(
                epoch: .seconds(epoch), idle: .seconds(epoch * 2), lifetime: .seconds(epoch * 3))
            let again = try SettingsFile.server(Array(settings.rendering.utf8), file: "/x")
            #expect(again == settings)
        }
    }

    @Test("Settings are shown with the identity's path and public key and without its private key")
    func noPrivateKey() throws {
        let rendering = try workshop.server(Workshop.goodServer).rendering
        #expect(rendering.contains("identity: \"\(workshop.path("server.key"))\""))
        #expect(rendering.contains("# public key \(workshop.server.publicKey.text)"))
        #expect(!rendering.contains("owkey-"))
        let file = try String(contentsOfFile: workshop.path("server.key"), encoding: .utf8)
        for line in file.split(separator: "\n") where line.hasPrefix("owkey-") {
            #expect(!rendering.contains(line.dropFirst("owkey-".count)))
        }
    }

    @Test("Paths with quotes, backslashes and blanks survive being shown")
    func oddPaths() throws {
        let odd = workshop.path("a \"b\" \\c: #d ü")
        try FileManager.default.createDirectory(atPath: odd, withIntermediateDirectories: false)
        try FileManager.default.copyItem(atPath: workshop.path("server.key"), toPath: "\(odd)/server.key")
        let settings = try SettingsFile.server(
            Array(workshop.filled(Workshop.goodServer).utf8), file: "\(odd)/server.yaml")
        #expect(settings.identityPath == "\(odd)/server.key")
        #expect(try SettingsFile.server(Array(settings.rendering.utf8), file: "/x") == settings)
    }

    @Test("Settings made without a file say that their identity is in memory only")
    func inMemory() throws {
        let settings = ServerSettings(listen: [], identity: workshop.server, services: [:], devices: [])
        #expect(settings.rendering.contains("\(workshop.server.publicKey.text), in memory only"))
        #expect(settings.rendering.contains("\nservices: {}\ndevices: {}\n"))
    }
}
