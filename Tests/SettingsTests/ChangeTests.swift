// What differs between two files, key by key. A key that nobody tells how to change fails here.

import Foundation
import Pairing
import Settings
import Testing

@Suite("Changes of settings")
struct ChangeTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
        try workshop.tablet.save(path: workshop.path("other.key"))
    }

    /// Another value for every key, as it is written in a file.
    private static let others: [String: String] = [
        "listen": "\"127.0.0.1:7701\"", "identity": "\"DIRECTORY/other.key\"",
        "services.NAME.target": "\"127.0.0.1:5433\"", "services.NAME.connect-timeout": "6s",
        "devices.NAME.key": "\"OTHER\"", "devices.NAME.services": "[]",
        "conversation.ratchet-every": "14m", "conversation.idle-timeout": "2h", "conversation.lifetime": "25h",
        "admission.first-byte-timeout": "4s", "admission.handshake-timeout": "21s",
        "admission.pairings-per-second": "21", "admission.pairings-at-once": "41", "admission.pairings-waiting": "257",
        "carriers.heartbeat": "11s", "carriers.dead-after": "31s", "carriers.rekey.frames": "17",
        "carriers.rekey.bytes": "17GiB", "carriers.rekey.every": "16m", "shards": "3", "polling": "off", "drain": "5s",
        "limits.connections": "100001", "limits.streams-per-device": "20001", "limits.backlog-per-device": "129MiB",
        "log.level": "debug", "server.address": "\"127.0.0.1:7701\"", "server.key": "\"OTHER\"",
        "server.connect-timeout": "11s", "server.answer-timeout": "16s", "services.NAME.listen": "\"127.0.0.1:5433\"",
        "services.NAME.carrier": "own", "pool.min-idle": "3", "pool.max-idle": "65", "waiting.connections": "16385",
        "waiting.timeout": "11s",
    ]

    /// Mappings: what changes of them is an entry that comes or goes.
    private static let mappings: Set<String> = ["services", "devices"]

    /// `rendering` with another value of the key with this path.
    private func changed(_ rendering: String, _ path: String) throws -> String {
        let other = try #require(Self.others[path], "ChangeTests does not know how to change \(path)")
        var sections: [Substring] = []
        var changes = 0
        let lines = rendering.split(separator: "\n").map { line -> String in
            guard !line.hasPrefix("#") else { return String(line) }
            let depth = line.prefix { $0 == " " }.count / 2
            let name = line.drop { $0 == " " }.prefix { $0 != ":" }
            sections =
                sections.prefix(depth) + [depth == 1 && Self.mappings.contains(String(sections[0])) ? "NAME" : name]
            guard sections.joined(separator: ".") == path else { return String(line) }
            changes += 1
            return String(repeating: "  ", count: depth) + "\(name): "
                + other.replacing("DIRECTORY", with: workshop.directory)
        }
        #expect(changes == 1, "\(path)")
        return lines.joined(separator: "\n")
    }

    private func expect(_ change: SettingsChange, is key: Key) {
        let path = key.path.replacing("services.NAME", with: "services.postgres").replacing(
            "devices.NAME", with: "devices.laptop")
        #expect(change.items.map(\.description) == [path])
        #expect(change.items.map(\.effect) == [key.change], "\(path)")
        #expect(change.effect == key.change)
        #expect(change.restarts == (key.change == .restart ? [path] : []))
        #expect(change.services.changed == (path.hasPrefix("services.") ? ["postgres"] : []))
        #expect(change.devices.changed == (path.hasPrefix("devices.") ? ["laptop"] : []))
    }

    @Test("A server's file that differs in one key needs what is declared of that key, and nothing else")
    func everyServerKey() throws {
        let settings = try workshop.server(Workshop.goodServer)
        #expect(SettingsChange(from: settings, to: settings).items == [])
        for key in Schema.server.keys where !Self.mappings.contains(key.path) {
            let other = try workshop.server(changed(settings.rendering, key.path))
            expect(SettingsChange(from: settings, to: other), is: key)
            expect(SettingsChange(from: other, to: settings), is: key)
        }
    }

    @Test("A client's file that differs in one key needs what is declared of that key, and nothing else")
    func everyClientKey() throws {
        let settings = try workshop.client(Workshop.goodClient)
        #expect(SettingsChange(from: settings, to: settings).items == [])
        for key in Schema.client.keys where !Self.mappings.contains(key.path) {
            let other = try workshop.client(changed(settings.rendering, key.path))
            expect(SettingsChange(from: settings, to: other), is: key)
            expect(SettingsChange(from: other, to: settings), is: key)
        }
    }

    @Test("A service or a device that comes or goes is one change, whatever it has")
    func entries() throws {
        let old = try workshop.server(Workshop.goodServer)
        let new = try workshop.server(
            Workshop.goodServer.replacing("  postgres:", with: "  web: {target: \"127.0.0.1:80\"}\n  postgres:")
                + "\n  tablet: {key: OTHER, services: [web]}\n")
        let more = SettingsChange(from: old, to: new)
        #expect(more.items.map(\.description) == ["services.web", "devices.tablet"])
        #expect(more.services == .init(added: ["web"]) && more.devices == .init(added: ["tablet"]))
        #expect(more.effect == .live)
        let less = SettingsChange(from: new, to: old)
        #expect(less.items == more.items)
        #expect(less.services == .init(removed: ["web"]) && less.devices == .init(removed: ["tablet"]))

        let client = try workshop.client(Workshop.goodClient)
        let other = try workshop.client(Workshop.goodClient + "\n  a.b: {listen: \"127.0.0.1:80\"}\n")
        #expect(SettingsChange(from: client, to: other).services == .init(added: ["a.b"]))
        #expect(SettingsChange(from: other, to: client).services == .init(removed: ["a.b"]))
    }

    @Test("A device under another name has gone, and another has come")
    func renamed() throws {
        let old = try workshop.server(Workshop.goodServer)
        let new = try workshop.server(Workshop.goodServer.replacing("laptop", with: "notebook"))
        let change = SettingsChange(from: old, to: new)
        #expect(change.devices == .init(added: ["notebook"], removed: ["laptop"]))
    }

    @Test("The same identity in another file, and what is written in another way, is no change")
    func sameValues() throws {
        let old = try workshop.server(Workshop.goodServer + "\ndrain: 60s")
        try FileManager.default.copyItem(atPath: workshop.path("server.key"), toPath: workshop.path("copy.key"))
        let new = try workshop.server(
            Workshop.goodServer.replacing("server.key", with: "copy.key")
                .replacing("[postgres]", with: "postgres") + "\ndrain: 1m\nlog: {level: info}")
        #expect(old.identityPath != new.identityPath)
        #expect(SettingsChange(from: old, to: new).items == [])
    }

    @Test("Several changes need what the weightiest of them needs, and each is named")
    func several() throws {
        let old = try workshop.server(Workshop.goodServer)
        let new = try workshop.server(
            Workshop.goodServer.replacing("7700", with: "7701") + "\nshards: 2\ndrain: 1s\nlimits: {connections: 5}")
        let change = SettingsChange(from: old, to: new)
        #expect(change.items.map(\.description) == ["listen", "shards", "drain", "limits.connections"])
        #expect(change.effect == .restart && change.restarts == ["listen", "shards"])
    }
}
