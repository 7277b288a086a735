// Slips that people make with keyboards, editors, shells and examples: each is told where it stands, in its own words,
// with what to write instead.

import Foundation
import Glibc
import Settings
import Testing

extension BadCase {
    private static func server(
        listen: String = "\"127.0.0.1:7700\"", identity: String = "server.key",
        services: String = "{postgres: {target: \"127.0.0.1:5432\"}}", key: String = "\"KEY\"",
        allowed: String = "[postgres]"
    ) -> String {
        "listen: \(listen)\nidentity: \(identity)\nservices: \(services)\ndevices:\n"
            + "  laptop:\n    services: \(allowed)\n    key: \(key)\n"
    }

    private static func client(services: String) -> String {
        "server: {address: \"127.0.0.1:7700\", key: \"OWN\"}\nidentity: client.key\nservices: \(services)\n"
    }

    /// Quotes and characters, which are told before anything else.
    static let slips: [BadCase] = [
        BadCase(
            "a quote that another line closes", server(listen: "\"0.0.0.0:7700", identity: "\"server.key\""),
            Expected("1:9", "the quote that opens here is not closed on its line", "close it with \"")),
        BadCase(
            "two open quotes", server(listen: "'0.0.0.0:7700", identity: "\"server.key"),
            Expected("1:9", "is not closed on its line", "close it with '"),
            Expected("2:11", "is not closed on its line", "close it with \"")),
        BadCase(
            "an open quote in a list", server(allowed: "[\"postgres, web]"),
            Expected("6:16", "is not closed on its line", "close it with \"")),
        BadCase(
            "a quote that an escape keeps open", server(listen: "\"0.0.0.0:7700\\\""),
            Expected("1:9", "is not closed on its line", "close it with \"")),
        BadCase(
            "a value over two lines", server(identity: "\"server\n  .key\""),
            Expected("2:11", "is not closed on its line", "close it with \"")),
        BadCase(
            "a quote closed by another kind", server(listen: "\"0.0.0.0:7700'"),
            Expected("1:9", "is not closed on its line", "close it with \" instead of '")),
        BadCase(
            "a quote closed by a typographic one", server(listen: "\"0.0.0.0:7700”"),
            Expected("1:9", "is not closed on its line", "close it with \" instead of ”")),
        BadCase(
            "typographic quotes", server(listen: "“0.0.0.0:7700”", allowed: "[‘postgres’, «web»]"),
            Expected("1:9", "“ is a typographic quote", "plain quotes: \"…\""),
            Expected("6:16", "‘ is a typographic quote", "plain quotes"),
            Expected("6:28", "« is a typographic quote", "plain quotes")),
        BadCase(
            "typographic quotes of a key", "“listen”: x\n", Expected("1:1", "“ is a typographic quote", "plain quotes")),
        BadCase(
            "a no-break space behind a colon", server(listen: "\u{A0}\"0.0.0.0:7700\""),
            Expected("1:9", "a no-break space (U+00A0)", "type a plain space instead")),
        BadCase(
            "no-break spaces as indentation", "log:\n\u{A0}\u{202F}level: info\n",
            Expected("2:1", "no-break space (U+00A0)", "plain space"),
            Expected("2:2", "no-break space (U+202F)", "plain space")),
        BadCase(
            "invisible characters within quotes", server(listen: "\"0.0.0.0\u{200B}:77\u{AD}00\u{3000}\""),
            Expected("1:17", "zero-width space (U+200B)", "remove it"),
            Expected("1:21", "soft hyphen (U+00AD)", "remove it"),
            Expected("1:24", "wide space (U+3000)", "plain space")),
        BadCase(
            "a mark of writing direction", server(identity: "server\u{202E}.key"),
            Expected("2:17", "mark of writing direction (U+202E)", "remove it")),
    ]

    /// Values that mean something elsewhere: to a shell, to another program, in an example.
    static let habits: [BadCase] = [
        BadCase("a port alone", server(listen: "7700"), Expected("1:9", "\"7700\" is a port without", "0.0.0.0:7700")),
        BadCase("a port and a colon", server(listen: "\":7700\""), Expected("1:9", "has no host", "0.0.0.0:7700")),
        BadCase("a star in quotes", server(listen: "\"*:7700\""), Expected("1:9", "has no host", "\"[::]:7700\"")),
        BadCase(
            "a link-local address", server(listen: "\"[fe80::1]:7700\""),
            Expected("1:9", "link-local address without its interface", "\"[fe80::1%eth0]:7700\"")),
        BadCase(
            "a home directory", server(listen: "unix:~/ow.sock", identity: "~/server.key"),
            Expected("1:9", "has ~ in it, which only a shell replaces", "unix:/run"),
            Expected("2:11", "identity \"~/server.key\" has ~ in it, which only a shell replaces", "/etc/oncewire")),
        BadCase(
            "YAML's nothing", server(identity: "~"),
            Expected("2:11", "found nothing, which is what ~ means in YAML", "the path of an identity file")),
        BadCase(
            "a variable", server(identity: "${CREDENTIALS_DIRECTORY}/server.key"),
            Expected("2:11", "has a variable in it", "whole path")),
        BadCase(
            "a star for every service", server(allowed: "[\"*\"]"),
            Expected("6:16", "unknown service \"*\"", "there is no wildcard: list the services by name, [postgres]")),
        BadCase(
            "a word for every service", server(allowed: "all"),
            Expected("6:15", "unknown service \"all\"", "there is no wildcard")),
        BadCase(
            "a star without quotes", server(allowed: "[*]"),
            Expected("6:16", "* is not a name", "no wildcard: list the names")),
        BadCase(
            "a star as a service", client(services: "{\"*\": {listen: \"127.0.0.1:1\"}}"),
            Expected("3:12", "\"*\" is not a service name", "no wildcard")),
        BadCase(
            "a star as a device", server().replacing("laptop", with: "\"*\""),
            Expected("5:3", "\"*\" is not a device name", "no wildcard")),
        BadCase(
            "a service's address alone", server(services: "{postgres: 127.0.0.1:5432}"),
            Expected(
                "3:22", "services.postgres must be a mapping, found text",
                "write postgres: {target: \"127.0.0.1:5432\"}")),
        BadCase(
            "a client's address alone", client(services: "{postgres: \"127.0.0.1:5432\"}"),
            Expected("3:22", "services.postgres must be a mapping", "write postgres: {listen: \"127.0.0.1:5432\"}")),
        BadCase(
            "a device's key alone",
            "listen: \"a:1\"\nidentity: server.key\nservices: {x: {target: \"b:1\"}}\ndevices: {laptop: KEY}\n",
            Expected(
                "4:19", "devices.laptop must be a mapping, found text",
                "write laptop: {key: \"owpub-…\", services: [NAME]}")),
        BadCase(
            "spaces at the ends of values",
            server(listen: "\"127.0.0.1:7700 \"", identity: "\" server.key\"", key: "\"KEY \""),
            Expected("1:9", "\"127.0.0.1:7700 \", which ends with a space", "remove the space"),
            Expected("2:11", "\" server.key\", which begins with a space", "remove the space"),
            Expected("7:10", "devices.laptop.key is a key (not shown), which ends with a space", "remove the space")),
        BadCase(
            "spaces at the ends of keys", "\"listen \": \"a:1\"\n\" log\": {}\n" + server(),
            Expected("1:1", "the key \"listen \" ends with a space", "remove the space"),
            Expected("2:1", "the key \" log\" begins with a space", "remove the space")),
        BadCase(
            "a quote at the end alone", server(listen: "127.0.0.1:7700\""),
            Expected("1:9", "ends with a quote that was not opened", "between quotes")),
        BadCase(
            "a socket that is something else",
            server(services: "{postgres: {target: unix:open.key}}"),
            Expected("3:31", "\"unix:open.key\" is a file and not a socket", "the other program made")),
        BadCase(
            "placeholders of the README", server(key: "\"owpub-…\""),
            Expected("7:10", "devices.laptop.key is a placeholder", "oncewire pubkey")),
        BadCase(
            "placeholders of the help", server(key: "\"owpub-(the client's)\""),
            Expected("7:10", "devices.laptop.key is a placeholder", "oncewire pubkey")),
    ]
}

@Suite("Slips")
struct SlipTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    @Test("A quote or a character that is not what it looks like is told where it stands", arguments: BadCase.slips)
    func slips(bad: BadCase) {
        bad.check(in: workshop)
    }

    @Test("What shells, other programs and examples make of a value is told as such", arguments: BadCase.habits)
    func habits(bad: BadCase) {
        bad.check(in: workshop)
    }

    @Test("Quotes, hashes and no-break spaces in comments, and quotes within text, are nobody's slip")
    func innocent() throws {
        let text = """
            # the operator's notes: "open, “typographic”, and a no-break\u{A0}space
            \(Workshop.goodServer.replacing("identity: server.key", with: "identity: 'server.key' # it's \"mine"))
              o-brien's: {key: 'OTHER', services: ["postgres", 'postgres-2'] }   # don’t
            """
            .replacing("o-brien's", with: "\"tab#let\"")
            .replacing("tab#let", with: "tablet")
            .replacing(
                "  postgres: {target: \"127.0.0.1:5432\"}",
                with: "  postgres: {target: unix:/run/it's/a\"b#c/s}\n  \"postgres-2\": {\"target\":\"h:1\"}")
        #expect(workshop.problems(text) == [])
        // A path that really has a no-break space can be written with YAML's escape.
        let escaped = Workshop.goodServer.replacing("\"127.0.0.1:5432\"", with: "\"unix:/run/a\\_b\"")
        #expect(try workshop.server(escaped).services.values.map(\.target) == [.unix(path: "/run/a\u{A0}b")])
    }

    @Test("A socket's path may be a socket or nothing; a target's may be a link to a socket")
    func sockets() throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = "/tmp/oncewire-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        defer { unlink(path) }
        #expect(symlink(path, workshop.path("link")) == 0)
        let text = Workshop.goodServer.replacing("\"127.0.0.1:7700\"", with: "[unix:\(path), unix:absent]")
        #expect(workshop.problems(text.replacing("\"127.0.0.1:5432\"", with: "unix:link")) == [])
        let listening = Workshop.goodServer.replacing("\"127.0.0.1:7700\"", with: "unix:link")
        #expect(workshop.problems(listening) == [], "a warning, WarningTests")
    }
}
