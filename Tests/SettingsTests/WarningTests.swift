// What is allowed and perhaps not meant: a warning, and settings all the same.

import Settings
import Testing

@Suite("Warnings")
struct WarningTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    private func warnings(_ text: String) throws -> [String] {
        var warnings: [Problem] = []
        _ = try SettingsFile.either(Array(workshop.filled(text).utf8), file: "some.yaml") { warnings.append($0) }
        #expect(warnings.allSatisfy { $0.severity == .warning && $0.hint != nil })
        return warnings.map(\.description)
    }

    /// The files name their identities by relative paths, which start elsewhere than "some.yaml" does.
    private func here(_ text: String) -> String {
        text.replacing("server.key", with: workshop.path("server.key"))
            .replacing("client.key", with: workshop.path("client.key"))
    }

    private func client(listen: String = "\"127.0.0.1:5432\"", _ more: String = "") -> String {
        here(Workshop.goodClient.replacing("\"127.0.0.1:5432\"", with: listen) + "\n" + more)
    }

    @Test("The defaults give no warning")
    func none() throws {
        #expect(try warnings(client()) == [])
        #expect(try warnings(here(Workshop.goodServer)) == [])
    }

    @Test(
        "A client that listens where other hosts reach it is warned of, at the address",
        arguments: ["0.0.0.0:5432", "[::]:5432", "192.0.2.1:5432", "[2001:db8::1]:5432", "db.lan:5432", "0.0.0.0:0"])
    func reachable(address: String) throws {
        let found = try warnings(client(listen: "[\"127.0.0.1:1\", \"\(address)\"]"))
        try #require(found.count == 1)
        #expect(found[0].hasPrefix("some.yaml:4:38: warning: services.postgres.listen \(address) may be reachable"))
        #expect(found[0].contains("not encrypted"))
        #expect(found[0].contains("(listen on 127.0.0.1 or a unix socket"))
    }

    @Test(
        "Listeners that no other host reaches are not warned of",
        arguments: [
            "127.0.0.1:5432", "127.9.8.7:1", "[::1]:5432", "localhost:5432", "db.localhost:5432", "unix:/run/x.sock",
            "[::ffff:127.0.0.1]:5432",
        ])
    func unreachable(address: String) throws {
        #expect(try warnings(client(listen: "\"\(address)\"")) == [])
    }

    @Test("A server that listens on every address is what a server is for")
    func server() throws {
        #expect(try warnings(here(Workshop.goodServer.replacing("127.0.0.1:7700", with: "0.0.0.0:7700"))) == [])
    }

    @Test("A client's drain longer than its applications wait is warned of, at the one that was given")
    func drainOfClient() throws {
        let cases: [(String, [String])] = [
            ("drain: 30s", ["5:8: warning: drain 30s is longer than waiting.timeout 10s (the default)"]),
            ("waiting: {timeout: 2s}", ["5:10: warning: drain 4s (the default) is longer than waiting.timeout 2s"]),
            ("drain: 3s\nwaiting: {timeout: 2s}", ["6:10: warning: drain 3s is longer than waiting.timeout 2s"]),
            ("drain: 10s", []), ("drain: 30s\nwaiting: {timeout: 30s}", []), ("drain: 0s", []),
        ]
        for (more, expected) in cases {
            let found = try warnings(client(more))
            #expect(found.count == expected.count, "\(more): \(found)")
            for (warning, start) in zip(found, expected) { #expect(warning.hasPrefix("some.yaml:" + start)) }
        }
    }

    @Test("A listener's socket path where something else is is warned of")
    func socketPaths() throws {
        let text = Workshop.goodServer.replacing(
            "listen: \"127.0.0.1:7700\"", with: "listen: [unix:server.key, unix:.]")
        try #require(text != Workshop.goodServer)
        let found = try warnings(here(text))
        #expect(found.count == 2)
        #expect(found[0].contains("is a file and not a socket"))
        #expect(found[1].contains("is a directory and not a socket"))
    }

    @Test("A server's drain longer than clients wait by default is warned of")
    func drainOfServer() throws {
        let found = try warnings(here(Workshop.goodServer + "\ndrain: 30s"))
        #expect(found.count == 1)
        #expect(found[0].hasPrefix("some.yaml:7:8: warning: drain 30s is longer than clients hold connections"))
        #expect(try warnings(here(Workshop.goodServer + "\ndrain: 10s")) == [])
    }

    @Test("Earlier names that are still read are warned of, and count")
    func earlierNames() throws {
        let text = client("pool: {floor: 3, cap: 5}")
        #expect(
            try warnings(text) == [
                "some.yaml:5:8: warning: floor in pool is the earlier name of min-idle (write min-idle)",
                "some.yaml:5:18: warning: cap in pool is the earlier name of max-idle (write max-idle)",
            ])
        #expect(try workshop.client(text).pool == PoolSettings(floor: 3, cap: 5))
        let problems = workshop.problems(client("pool: {floor: 9, cap: 5}"))
        #expect(problems.map(\.message) == ["pool.min-idle 9 must not exceed pool.max-idle 5"])
    }

    @Test("Of a file that is refused, only the problems are told")
    func refused() {
        var warnings = 0
        #expect(throws: SettingsFailure.self) {
            try SettingsFile.either(Array(client("drain: 30s\nx: y").utf8), file: "x") { _ in warnings += 1 }
        }
        #expect(warnings == 0)
    }
}
