import Foundation
import Pairing
import Settings
import Testing

@Suite("Configurations that are refused")
struct RefusalTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    @Test("Text that is no strict YAML is refused with its place and advice", arguments: BadCase.syntax)
    func syntax(bad: BadCase) {
        bad.check(in: workshop)
    }

    @Test("Keys that are unknown, missing or of the wrong kind are refused, all at once", arguments: BadCase.shape)
    func shape(bad: BadCase) {
        bad.check(in: workshop)
    }

    @Test("Values that are wrong are refused, all at once", arguments: BadCase.values)
    func values(bad: BadCase) {
        bad.check(in: workshop)
    }

    @Test("Values that contradict each other are refused at the one to change", arguments: BadCase.contradictions)
    func contradictions(bad: BadCase) {
        bad.check(in: workshop)
    }

    @Test("A problem is written as file:line:column, error, what is wrong, and what to do")
    func description() throws {
        let path = try workshop.write("lsiten: x\nserver: {}\n", to: "a.yaml")
        do throws(SettingsFailure) {
            _ = try SettingsFile.load(path: path)
            Issue.record("it was accepted")
        } catch {
            let first = try #require(error.description.split(separator: "\n").first)
            #expect(first == "\(path):1:1: error: unknown key \"lsiten\" (known here: \(clientKeys))")
        }
    }

    private let clientKeys = "server, identity, services, pool, waiting, carriers, shards, polling, drain, limits, log"

    // MARK: Bytes and files

    @Test("Bytes that are not UTF-8 are refused where they stand")
    func invalidUTF8() {
        for bytes: [UInt8] in [[0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]] {
            let problems = workshop.problems(bytes: Array("listen: ä\nxä".utf8) + bytes)
            #expect(problems.map { "\($0.line):\($0.column)" } == ["2:3"])
            #expect(problems.first?.message.contains("UTF-8") == true)
        }
    }

    @Test("UTF-16 is refused instead of guessed")
    func utf16() throws {
        let bytes = Array(try #require("listen: x".data(using: .utf16)))
        #expect(workshop.problems(bytes: bytes).map(\.line) == [1])
    }

    @Test("A file of more than 1 MiB is refused, one of exactly 1 MiB is read")
    func size() throws {
        let text = Workshop.goodServer + "\n#"
        let padding = String(repeating: "x", count: (1 << 20) - workshop.filled(text).utf8.count)
        #expect(workshop.problems(text + padding) == [])
        let path = try workshop.write(workshop.filled(text + padding + "x"), to: "large.yaml")
        let failure = #expect(throws: SettingsFailure.self) { try SettingsFile.load(path: path) }
        #expect(
            failure?.description
                == "\(path): error: the file is larger than 1 MiB (check the path, a configuration is never that large)"
        )
    }

    @Test("A file that is missing or not a regular one is a problem of the file as a whole")
    func files() throws {
        let missing = workshop.path("absent.yaml")
        for load in [
            { _ = try SettingsFile.load(path: $0) }, { _ = try SettingsFile.loadServer(path: $0) },
            { _ = try SettingsFile.loadClient(path: $0) },
        ] as [(String) throws -> Void] {
            let failure = #expect(throws: SettingsFailure.self) { try load(missing) }
            #expect(
                failure?.description
                    == "\(missing): error: the file cannot be opened: No such file or directory (check the path)")
        }
        for path in [workshop.directory, "/dev/zero", "/dev/null"] {
            let failure = #expect(throws: SettingsFailure.self) { try SettingsFile.load(path: path) }
            #expect(failure?.problems.map(\.message) == ["this is neither a file nor a pipe"])
        }
    }

    @Test("A client's file given to the server, or the other way round, is one problem and not many")
    func wrongRole() {
        let asServer = #expect(throws: SettingsFailure.self) { try workshop.server(Workshop.goodClient) }
        #expect(asServer?.problems.map(\.message) == ["this is a client's configuration: it has the key server"])
        let asClient = #expect(throws: SettingsFailure.self) { try workshop.client(Workshop.goodServer) }
        #expect(asClient?.problems.map(\.message) == ["this is a server's configuration: it has the key devices"])
        #expect(asClient?.problems.map(\.line) == [5])
    }

    @Test("A thousand problems are counted, and the first hundred shown")
    func many() throws {
        let text = Workshop.goodServer + "\n" + (0..<1000).map { "x\($0): y\n" }.joined()
        let failure = try #require(throws: SettingsFailure.self) { try workshop.server(text) }
        #expect(failure.problems.count == 100)
        #expect(failure.omitted == 900)
        #expect(failure.description.hasSuffix("900 more problems are not shown (repair these first)"))
    }

    // MARK: Secrets

    @Test("A private key that strayed into a configuration is never repeated, wherever it stands")
    func privateKeys() throws {
        let digits = String(repeating: "abcdefg2", count: 7)
        for secret in ["owkey-\(digits)", "OWKEY-\(digits)", digits] {
            for text in [
                "\(secret): x\n" + Workshop.goodServer,
                Workshop.goodServer.replacing("KEY", with: secret),
                Workshop.goodServer.replacing("server.key", with: secret),
                Workshop.goodServer.replacing("127.0.0.1:7700", with: secret),
                Workshop.goodServer.replacing("[postgres]", with: "[\(secret)]"),
                Workshop.goodServer.replacing("laptop", with: secret),
                Workshop.goodServer.replacing("postgres", with: secret),
                Workshop.goodServer + "\ndrain: \(secret)\nshards: \(secret)\nlog: {level: \(secret)}\n",
                Workshop.goodServer + "\nlog: {\(secret): \(secret), \(secret): x}\n",
                Workshop.goodServer + "\n\(secret)\n",
                Workshop.goodClient.replacing("OWN", with: secret),
                Workshop.goodClient.replacing("127.0.0.1:7700", with: secret),
            ] {
                let problems = workshop.problems(text)
                #expect(!problems.isEmpty, "\(text)")
                #expect(!problems.contains { $0.description.lowercased().contains("abcdefg2") }, "\(problems)")
            }
        }
        let pasted = workshop.problems(Workshop.goodServer.replacing("KEY", with: "owkey-\(digits)"))
        #expect(pasted.map(\.message) == ["devices.laptop.key is a private key"])
        #expect(pasted.first?.hint?.contains("make a new identity") == true)
    }
}

extension BadCase {
    /// Exactly the expected problems, in the order of the file.
    func check(in workshop: Workshop) {
        let problems = workshop.problems(yaml)
        let all = problems.map(\.description).joined(separator: "\n")
        #expect(problems.map { "\($0.line):\($0.column)" } == expected.map(\.place), "\(all)")
        for (problem, expected) in zip(problems, expected) {
            #expect(problem.severity == .error)
            #expect(problem.message.contains(expected.message), "\(all)")
            #expect(
                expected.hint.isEmpty ? problem.hint == nil : problem.hint?.contains(expected.hint) == true, "\(all)")
            #expect(problem.file == workshop.path("some.yaml"))
        }
    }
}
