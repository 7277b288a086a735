import Foundation
import Pairing
import Settings
import Testing
import Wire

@Suite("Examples and reference")
struct ExampleTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    }

    /// An example with identities that exist here.
    private func example(_ name: String) throws -> String {
        adapted(try text("config/\(name)"))
    }

    private static let deviceKey = "owpub-3jj2ch4imdh4xtz4pexkqxqjjlowxxqbyijiie36ef22y66r7edd5dig"
    private static let serverKey = "owpub-edypdr47gdjvxf3kh4qcijthv3nq2nnnd2ut6d5dk6b5luujzzs3lcnb"

    /// What who uses an example has to change: paths and keys.
    private func adapted(_ text: String) -> String {
        text.replacing("/etc/oncewire/", with: workshop.directory + "/")
            .replacing(Self.deviceKey, with: workshop.client.publicKey.text)
            .replacing(Self.serverKey, with: workshop.server.publicKey.text)
    }

    @Test("The keys of the examples, in whatever document, and of the published vectors are refused by value")
    func publishedKeys() throws {
        let keys = /owpub-[a-z2-7]{56}/
        var found: Set<String> = []
        for file in [
            "config/server.yaml", "config/client.yaml", "README.md", "docs/CONFIGURATION.md", "docs/OPERATIONS.md",
            "docs/PROTOCOL.md", "Tests/PairingTests/Vectors/pairing.json",
        ] {
            found.formUnion(try text(file).matches(of: keys).map { String($0.output) })
        }
        #expect(found.isSuperset(of: [Self.deviceKey, Self.serverKey]) && found.count == 4)
        for key in found {
            let server = workshop.problems(Workshop.goodServer.replacing("KEY", with: key))
            #expect(server.map { "\($0.line):\($0.column)" } == ["6:17"])
            #expect(server.first?.message.hasSuffix(", not one of yours") == true, "\(server)")
            #expect(server.first?.hint == "copy what oncewire pubkey prints on the device")
            let client = workshop.problems(Workshop.goodClient.replacing("OWN", with: key))
            #expect(client.first?.hint == "copy what oncewire pubkey prints on the server")
        }
    }

    @Test("A private key of the published vectors is refused")
    func publishedIdentity() throws {
        let vectors = try text("Tests/PairingTests/Vectors/pairing.json")
        let key = try #require(vectors.firstMatch(of: /owkey-[a-z2-7]{56}/))
        let path = try workshop.write(String(key.output), to: "known.key")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        let problems = workshop.problems(Workshop.goodServer.replacing("server.key", with: "known.key"))
        #expect(problems.count == 1)
        #expect(problems.first?.message.contains("everybody has it") == true)
        #expect(problems.first?.hint?.contains("oncewire keygen") == true)
    }

    /// In the examples prose begins with `# ` and a word, and a setting with `#` and its indentation.
    private func uncommented(_ text: String) -> String {
        text.replacing(/(?m)^(\s*)#(\S|\s\s)/) { "\($0.1)\($0.2)" }
    }

    @Test("The example of a server loads, and the lines it has commented out are the defaults")
    func serverExample() throws {
        let short = try workshop.server(example("server.yaml"))
        let long = try workshop.server(uncommented(example("server.yaml")))
        #expect(short.services.map(\.key.text) == ["postgres"])
        #expect(long.services.map(\.key.text).sorted() == ["postgres", "redis"])
        #expect(Set(long.services.values.map(\.connectTimeout)) == [.seconds(5)])
        var same = long
        same.services = short.services
        #expect(same == short)
        try expectEveryKey(of: short.rendering, in: uncommented(example("server.yaml")))
    }

    @Test("The example of a client loads, and the lines it has commented out are the defaults")
    func clientExample() throws {
        let short = try workshop.client(example("client.yaml"))
        let long = try workshop.client(uncommented(example("client.yaml")))
        #expect(long == short)
        try expectEveryKey(of: short.rendering, in: uncommented(example("client.yaml")))
    }

    /// Every optional setting that the rendering shows stands in the example too, word for word.
    private func expectEveryKey(of rendering: String, in example: String) throws {
        let lines = Set(example.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) })
        var checked = 0
        for line in rendering.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            let value = line.split(separator: ": ").last ?? ""
            guard !line.hasSuffix(":"), !line.hasPrefix("#"), !value.hasPrefix("\""), !value.hasPrefix("[") else {
                continue
            }
            #expect(lines.contains(line), "\(line)")
            checked += 1
        }
        #expect(checked >= 12)
    }

    @Test("The reference names every key that is shown, with its default")
    func reference() throws {
        let reference = try text("docs/CONFIGURATION.md").split(separator: "\n")
        let server = try workshop.server(example("server.yaml")).rendering
        let client = try workshop.client(example("client.yaml")).rendering
        var checked: Set<String> = []
        for rendering in [server, client] {
            for (key, value) in settings(in: rendering) where !value.hasPrefix("\"") && !value.hasPrefix("[") {
                let row = reference.first { $0.hasPrefix("| `\(key)` |") }
                #expect(row?.hasSuffix("| `\(value)` |") == true, "\(key): \(value)")
                checked.insert(key)
            }
        }
        #expect(checked.count == 28)
    }

    /// The dotted names and values of block YAML as rendered; what is named by the user becomes NAME.
    private func settings(in rendering: String) -> [(String, String)] {
        var path: [String] = []
        return rendering.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            let depth = line.prefix { $0 == " " }.count / 2
            let parts = line.drop { $0 == " " }.split(separator: ":", maxSplits: 1)
            path =
                path.prefix(depth) + [
                    path.first == "services" && depth == 1 || path.first == "devices" && depth == 1
                        ? "NAME" : String(parts[0])
                ]
            guard parts.count == 2 else { return nil }
            return (path.joined(separator: "."), parts[1].trimmingCharacters(in: .whitespaces))
        }
    }

    @Test("The short files of the reference load")
    func referenceExamples() throws {
        let blocks = try text("docs/CONFIGURATION.md").split(separator: "```yaml\n").dropFirst()
            .compactMap { $0.split(separator: "```").first.map(String.init) }
        #expect(blocks.count == 2)
        for block in blocks {
            #expect(workshop.problems(adapted(block)) == [])
        }
    }

    @Test("The reference shows what is really said of two slips")
    func referenceProblems() throws {
        let reference = try text("docs/CONFIGURATION.md")
        let server = try #require(
            reference.split(separator: "```yaml\n").dropFirst().first?.split(separator: "```").first.map(String.init))
        let shown = try #require(
            reference.split(separator: "```text\n").dropFirst().first?.split(separator: "```").first)
        let bad = adapted(server).replacing("listen", with: "lsiten").replacing("[postgres]", with: "[postgrse]")
        let failure = try #require(throws: SettingsFailure.self) {
            try SettingsFile.server(Array(bad.utf8), file: "server.yaml")
        }
        #expect(failure.description + "\n" == shown)
    }
}
