// What the tests of this module share: a directory with two identities, and configurations that use them.

import Foundation
import Pairing
import Settings

/// A temporary directory with `server.key`, `client.key` and `open.key` (readable by others); removed with this value.
final class Workshop {
    let directory: String
    let server = Identity.generate()
    let client = Identity.generate()
    let tablet = Identity.generate()

    init() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "oncewire-settings-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        self.directory = directory.path
        try server.save(path: path("server.key"))
        try client.save(path: path("client.key"))
        try client.save(path: path("open.key"))
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path("open.key"))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    func path(_ name: String) -> String {
        "\(directory)/\(name)"
    }

    /// Writes a configuration and gives its path.
    func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: path(name)))
        return path(name)
    }

    /// `KEY`, `OWN` and `OTHER` in a configuration stand for the public keys of the client, the server and the tablet.
    func filled(_ text: String) -> String {
        text.replacing("OTHER", with: tablet.publicKey.text)
            .replacing("OWN", with: server.publicKey.text)
            .replacing("KEY", with: client.publicKey.text)
    }

    func server(_ text: String) throws(SettingsFailure) -> ServerSettings {
        try SettingsFile.server(Array(filled(text).utf8), file: path("server.yaml"))
    }

    func client(_ text: String) throws(SettingsFailure) -> ClientSettings {
        try SettingsFile.client(Array(filled(text).utf8), file: path("client.yaml"))
    }

    /// What is wrong with a configuration; empty if nothing is.
    func problems(_ text: String) -> [Problem] {
        problems(bytes: Array(filled(text).utf8))
    }

    func problems(bytes: [UInt8]) -> [Problem] {
        do throws(SettingsFailure) {
            _ = try SettingsFile.either(bytes, file: path("some.yaml"))
            return []
        } catch {
            return error.problems
        }
    }

    static let goodServer = """
        listen: "127.0.0.1:7700"
        identity: server.key
        services:
          postgres: {target: "127.0.0.1:5432"}
        devices:
          laptop: {key: "KEY", services: [postgres]}
        """

    static let goodClient = """
        server: {address: "127.0.0.1:7700", key: "OWN"}
        identity: client.key
        services:
          postgres: {listen: "127.0.0.1:5432"}
        """
}
