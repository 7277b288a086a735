// Configurations that must be refused, each with every problem that must be reported: place, message, hint.

import Testing

/// One bad configuration.
struct BadCase: CustomTestStringConvertible {
    let name: String
    let yaml: String
    let expected: [Expected]

    struct Expected {
        let place: String
        let message: String
        let hint: String

        init(_ place: String, _ message: String, _ hint: String) {
            self.place = place
            self.message = message
            self.hint = hint
        }
    }

    init(_ name: String, _ yaml: String, _ expected: Expected...) {
        self.name = name
        self.yaml = yaml
        self.expected = expected
    }

    var testDescription: String { name }
}

private typealias Expected = BadCase.Expected

/// The good server with another ending.
private func server(_ more: String) -> String {
    Workshop.goodServer + "\n" + more
}

/// The good client with another ending.
private func client(_ more: String) -> String {
    Workshop.goodClient + "\n" + more
}

extension BadCase {
    /// Text that is no YAML, or none of the strict kind.
    static let syntax: [BadCase] = [
        BadCase("an empty file", "", Expected("1:1", "no settings", "examples")),
        BadCase("only comments", "# one\n# two\n", Expected("1:1", "no settings", "examples")),
        BadCase("an empty document", "---\n...\n", Expected("1:1", "no settings", "examples")),
        BadCase(
            "a list at the top", "- a\n- b\n", Expected("1:1", "the file must be a mapping, found a list", "KEY: VALUE")
        ),
        BadCase("text at the top", "hello\n", Expected("1:1", "the file must be a mapping, found text", "KEY: VALUE")),
        BadCase("a tab as indentation", "services:\n\tpostgres: {}\n", Expected("2:1", "not valid YAML", "tab")),
        BadCase("a tab behind spaces", "log:\n  \tlevel: info\n", Expected("2:3", "not valid YAML", "tab")),
        BadCase("a NUL byte", "listen: a\n  \u{0}", Expected("2:3", "control character (0x0)", "remove")),
        BadCase("an escape byte", "ö: \u{1B}[0m", Expected("1:4", "control character (0x1B)", "remove")),
        BadCase("Unicode's own line end", "a: b\u{2028}c: d", Expected("1:5", "0x2028", "remove")),
        BadCase(
            "an open quote", "listen: \"abc\nx: y\n", Expected("1:9", "quote that opens here is not closed", "with \"")),
        BadCase("an open bracket", "listen: [a, b\n", Expected("2:1", "not valid YAML", "close the bracket")),
        BadCase(
            "an open bracket in a last line without an end", "listen: [a, b",
            Expected("1:14", "not valid YAML", "close the bracket")),
        BadCase(
            "an address that needs quotes", "listen: [::]:7700\n",
            Expected("1:10", "not valid YAML", "quotes: \"[::1]:7700\"")),
        BadCase(
            "a star for every address", "listen: *:7700\n",
            Expected("1:9", "*:7700 is not an address", "0.0.0.0:7700 for IPv4 and \"[::]:7700\" for IPv6")),
        BadCase("a line without a colon", "listen: a\nidentity\n", Expected("3:1", "not valid YAML", "KEY: VALUE")),
        BadCase("two colons in a line", "listen: a: b\n", Expected("1:10", "not valid YAML", "\": \"")),
        BadCase("a bad escape", "listen: \"\\q\"\n", Expected("1:10", "not valid YAML", "backslash")),
        BadCase("a reserved character", "listen: @x\n", Expected("1:9", "not valid YAML", "begins with @ in quotes")),
        BadCase(
            "a wrong indentation", "log:\n   level: info\n  x: y\n", Expected("3:3", "not valid YAML", "indentation")),
        BadCase(
            "nesting without end", String(repeating: "[", count: 5000),
            Expected("1:17", "nested more than 16", "no setting")),
        BadCase(
            "nesting by indentation",
            (0..<40).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
            Expected("16:16", "nested more than 16", "no setting")),
        BadCase("a second document", server("---\nlisten: x\n"), Expected("7:1", "second document", "remove this ---")),
        BadCase("a directive", "%YAML 1.1\n---\n" + Workshop.goodServer, Expected("1:1", "directives", "%")),
        BadCase("a tag directive", "%TAG ! x:\n---\n" + Workshop.goodServer, Expected("1:1", "directives", "%")),
        BadCase(
            "an anchor and its alias", server("drain: &d 5s\nlog: {level: *d}\n"),
            Expected("7:8", "anchors", "write the value out"), Expected("8:14", "aliases", "write the value out")),
        BadCase("a tag on text", server("drain: !!str 5s\n"), Expected("7:8", "tags", "remove the tag")),
        BadCase("a tag on a mapping", server("log: !x {level: info}\n"), Expected("7:6", "tags", "remove the tag")),
        BadCase("a tag on a list", "listen: !x [a]\n" + withoutListen, Expected("1:9", "tags", "remove the tag")),
        BadCase("a merge key", server("log: {<<: {level: info}}\n"), Expected("7:7", "merge keys", "write")),
        BadCase("an alias as a key", server("? *a\n: b\n"), Expected("7:3", "aliases", "write the value out")),
        BadCase(
            "a list as a key", server("? [a, b]\n: c\n"),
            Expected("7:3", "a key must be text, found a list", "KEY: VALUE")),
        BadCase("a mapping as a key", server("{a: b}: c\n"), Expected("7:1", "found a mapping", "KEY: VALUE")),
        BadCase("an empty key", server("\"\": c\n"), Expected("7:1", "key is missing", "KEY: VALUE")),
        BadCase(
            "a control character in a key", server("\"a\\0b\": c\n"), Expected("7:1", "control character", "remove")),
        BadCase(
            "a key given twice", server("drain: 5s\nlog: {}\ndrain: 6s\n"),
            Expected("9:1", "\"drain\" is given twice, first at 7:1", "keep one")),
        BadCase(
            "a key given three times", server("shards: 1\nshards: 2\nshards: 3\n"),
            Expected("8:1", "first at 7:1", "keep one"), Expected("9:1", "first at 7:1", "keep one")),
        BadCase(
            "a key given twice, once in quotes", server("log: {level: info, \"level\": info}\n"),
            Expected("7:20", "first at 7:7", "keep one")),
    ]

    /// Keys that are unknown, missing, or of the wrong kind.
    static let shape: [BadCase] = [
        BadCase(
            "a mistyped key that is required", Workshop.goodServer.replacing("identity", with: "identiyt"),
            Expected("2:1", "unknown key \"identiyt\"", "did you mean identity?")),
        BadCase(
            "a mistyped key", "lsiten: \"a:1\"\n" + Workshop.goodServer,
            Expected("1:1", "unknown key \"lsiten\"", "did you mean listen?")),
        BadCase(
            "a key nobody knows", server("colour: red\n"),
            Expected("7:1", "unknown key \"colour\"", "known here: listen,")),
        BadCase(
            "a client's key in a server's file", server("pool: {max-idle: 3}\n"),
            Expected("7:1", "unknown key \"pool\"", "belongs in a client's file")),
        BadCase(
            "a server's key in a client's file", client("conversation: {idle-timeout: 3h}\n"),
            Expected("5:1", "unknown key \"conversation\"", "belongs in a server's file")),
        BadCase(
            "keys of both sides", client("listen: \"a:1\"\n"),
            Expected("5:1", "unknown key \"listen\"", "under a service in a client's")),
        BadCase(
            "a key one level too high", server("heartbeat: 3s\n"),
            Expected("7:1", "unknown key \"heartbeat\"", "belongs under carriers")),
        BadCase(
            "a mistyped key further down", server("carriers:\n  rekey: {frame: 100}\n"),
            Expected("8:11", "unknown key \"frame\" in carriers.rekey", "did you mean frames?")),
        BadCase(
            "a client's key of a service in a server's file",
            "listen: \"a:1\"\nidentity: server.key\ndevices: {}\nservices:\n  x: {target: \"b:1\", carrier: own}\n",
            Expected("5:22", "unknown key \"carrier\" in services.x", "belongs under a service in a client's file")),
        BadCase(
            "a key of a service at the top", client("carrier: own\n"),
            Expected("5:1", "unknown key \"carrier\"", "belongs under a service in a client's file")),
        BadCase(
            "a mistyped key of a client's service", client("  redis: {listen: \"127.0.0.1:6379\", carier: own}\n"),
            Expected("5:37", "unknown key \"carier\" in services.redis", "did you mean carrier?")),
        BadCase(
            "a mistyped key of a service",
            "listen: \"a:1\"\nidentity: server.key\ndevices: {}\nservices:\n  x: {target: \"b:1\", conect-timeout: 1s}\n",
            Expected("5:22", "unknown key \"conect-timeout\" in services.x", "did you mean connect-timeout?")),
        BadCase(
            "a server with nothing but listen", "listen: \"a:1\"\n",
            Expected("1:1", "identity is missing", "oncewire keygen"),
            Expected("1:1", "services is missing", "postgres"), Expected("1:1", "devices is missing", "owpub-")),
        BadCase(
            "a client with nothing but server", "server: {}\n",
            Expected("1:1", "identity is missing", "oncewire keygen"),
            Expected("1:1", "services is missing", "postgres"),
            Expected("1:9", "server.address is missing", "HOST:7700"),
            Expected("1:9", "server.key is missing", "oncewire pubkey")),
        BadCase(
            "a server without listen",
            "identity: server.key\nservices: {x: {target: \"a:1\"}}\ndevices: {}\n",
            Expected("1:1", "listen is missing", "0.0.0.0:7700")),
        BadCase(
            "a server without services",
            "listen: \"a:1\"\nidentity: server.key\nservices: {}\ndevices: {}\n",
            Expected("3:11", "services is empty", "postgres")),
        BadCase(
            "a client without services", "server: {address: \"a:1\", key: OWN}\nidentity: client.key\nservices: {}\n",
            Expected("3:11", "services is empty", "postgres")),
        BadCase(
            "a service without its parts",
            "listen: \"a:1\"\nidentity: server.key\nservices: {x: {}, y: }\ndevices: {}\n",
            Expected("3:12", "services.x.target is missing", "target:"),
            Expected("3:22", "services.y must be a mapping, found nothing", "write y: {target")),
        BadCase(
            "a service in a word",
            "listen: \"a:1\"\nidentity: server.key\nservices: {x: \"b:1\"}\ndevices: {}\n",
            Expected("3:15", "services.x must be a mapping, found text", "write x: {target: \"b:1\"}")),
        BadCase(
            "a device without its parts",
            "listen: \"a:1\"\nidentity: server.key\nservices: {x: {target: \"b:1\"}}\ndevices: {d: {}}\n",
            Expected("4:11", "devices.d.services is missing", "may use"),
            Expected("4:11", "devices.d.key is missing", "oncewire pubkey")),
        BadCase(
            "values of the wrong kind",
            "listen: {a: b}\nidentity: [x]\nservices: [x]\ndevices: 7\ndrain: {}\nshards: []\nlog: info\nlimits:\n",
            Expected("1:9", "listen must be an address or a list of addresses, found a mapping", "write"),
            Expected("2:11", "identity must be the path of an identity file, found a list", "write"),
            Expected("3:11", "services must be a mapping, found a list", "write services:"),
            Expected("4:10", "devices must be a mapping, found a number", "write devices:"),
            Expected("5:8", "drain must be a duration such as 4s, found a mapping", "write"),
            Expected("6:9", "shards must be a whole number such as 0, found a list", "write"),
            Expected("7:6", "log must be a mapping, found text", "write log: {level"),
            Expected("8:8", "limits must be a mapping, found nothing", "write limits: {connections")),
        BadCase(
            "an empty list of listeners", "listen: []\n" + withoutListen, Expected("1:9", "empty list", "at least one")),
        BadCase(
            "a list of odd things", "listen: [\"a:1\", {}, [], 7, ~, \"b:1\\nx\"]\n" + withoutListen,
            Expected("1:17", "listen must be an address", "HOST:PORT"),
            Expected("1:21", "listen must be an address", "HOST:PORT"),
            Expected("1:25", "\"7\" is a port without a host", "127.0.0.1:7"),
            Expected("1:28", "found nothing", "HOST:PORT"), Expected("1:31", "control character", "one line")),
        BadCase(
            "a server that is no mapping", "server: \"a:1\"\nidentity: client.key\nservices: {x: {listen: \"b:1\"}}\n",
            Expected(
                "1:9", "server must be a mapping, found text", "write server: {address: \"a:1\", key: \"owpub-…\"}")),
        BadCase(
            "earlier names in a client's file", client("waiting: {most: 7, at-most: 1s}\n"),
            Expected("5:11", "unknown key \"most\" in waiting", "did you mean connections?"),
            Expected("5:20", "unknown key \"at-most\" in waiting", "did you mean timeout?")),
        BadCase(
            "earlier names in a server's file",
            server(
                """
                conversation: {epoch: 1s, idle: 2s}
                admission: {first-byte: 1s, handshake: 2s, pair-rate: 1, pair-burst: 1, pending-pairs: 1}
                """),
            Expected("7:16", "unknown key \"epoch\" in conversation", "did you mean ratchet-every?"),
            Expected("7:27", "unknown key \"idle\" in conversation", "did you mean idle-timeout?"),
            Expected("8:13", "unknown key \"first-byte\" in admission", "did you mean first-byte-timeout?"),
            Expected("8:29", "unknown key \"handshake\" in admission", "did you mean handshake-timeout?"),
            Expected("8:44", "unknown key \"pair-rate\" in admission", "did you mean pairings-per-second?"),
            Expected("8:58", "unknown key \"pair-burst\" in admission", "did you mean pairings-at-once?"),
            Expected("8:73", "unknown key \"pending-pairs\" in admission", "did you mean pairings-waiting?")),
        BadCase(
            "an earlier name beside the present one", client("pool: {floor: 1, min-idle: 2}\n"),
            Expected("5:8", "floor in pool is the earlier name of min-idle, which is given too, at 5:18", "remove")),
        BadCase("neither kind of file", "identity: x\n", Expected("1:1", "neither", "a client has server")),
    ]

    private static let withoutListen =
        "identity: server.key\nservices: {x: {target: \"c:1\"}}\ndevices: {}\n"

    /// Values that are of the right kind and wrong.
    static let values: [BadCase] = [
        BadCase(
            "durations",
            server(
                """
                drain: 5
                conversation: {ratchet-every: -1s, idle-timeout: 1.5h, lifetime: 99999999999999999999d}
                admission: {first-byte-timeout: soon, handshake-timeout: 5 s}
                carriers: {heartbeat: "", dead-after: "3s\\n", rekey: {every: 1h30m}}
                """),
            Expected("7:8", "drain: \"5\" is a duration without a unit", "such as 15m"),
            Expected("8:31", "conversation.ratchet-every: \"-1s\" is negative", "such as 15m"),
            Expected("8:50", "conversation.idle-timeout: \"1.5h\" is not a whole number", "such as 15m"),
            Expected("8:66", "is too long", "such as 15m"),
            Expected("9:33", "admission.first-byte-timeout: \"soon\" is not a duration", "such as 15m"),
            Expected("9:58", "admission.handshake-timeout: \"5 s\" is not a duration", "such as 15m"),
            Expected("10:23", "carriers.heartbeat: \"\" is not a duration", "such as 15m"),
            Expected("10:39", "carriers.dead-after is \"3s\\u{a}\"", "one line"),
            Expected("10:62", "carriers.rekey.every: \"1h30m\" is not a duration", "such as 15m")),
        BadCase(
            "values out of their ranges",
            server(
                """
                drain: 2h
                conversation: {ratchet-every: 500ms, idle-timeout: 400d}
                carriers: {heartbeat: 0s, rekey: {frames: 15, bytes: 1KiB, every: 2d}}
                limits: {connections: 0}
                shards: 257
                """),
            Expected("7:8", "drain is 2h", "0s to 1h"),
            Expected("8:31", "conversation.ratchet-every is 500ms", "1s to 365d"),
            Expected("8:52", "conversation.idle-timeout is 400d", "1s to 365d"),
            Expected("9:23", "carriers.heartbeat is 0s", "1ms to 1h"),
            Expected("9:43", "carriers.rekey.frames is 15", "16 to 281474976710656"),
            Expected("9:54", "carriers.rekey.bytes is 1KiB", "64KiB to 1048576GiB"),
            Expected("9:67", "carriers.rekey.every is 2d", "100ms to 24h"),
            Expected("10:23", "limits.connections is 0", "1 to 10000000"), Expected("11:9", "shards is 257", "1 to 256")
        ),
        BadCase(
            "fractions of a second in lifetimes", server("conversation: {idle-timeout: 1500ms}\n"),
            Expected("7:30", "conversation.idle-timeout must be whole seconds, not 1500ms", "round")),
        BadCase(
            "numbers",
            server(
                """
                limits: {connections: 1e5}
                shards: many
                admission: {pairings-per-second: "20", pairings-at-once: 0x10, pairings-waiting: 123456789012345678901234567890}
                """),
            Expected("7:23", "limits.connections: \"1e5\" is not a whole number", "in digits"),
            Expected("8:9", "shards must be auto or a whole number, found text", "auto or 1 to 256"),
            Expected("9:34", "found text in quotes", "remove the quotes"),
            Expected("9:58", "admission.pairings-at-once: \"0x10\" is not a whole number", "in digits"),
            Expected("9:82", "is too large", "in digits")),
        BadCase(
            "sizes", server("carriers: {rekey: {bytes: 16GB}}\n"),
            Expected("7:27", "carriers.rekey.bytes: \"16GB\" is not a size", "GiB")),
        BadCase(
            "carriers that a service cannot have",
            client(
                """
                  a: {listen: "127.0.0.1:1", carrier: onw}
                  b: {listen: "127.0.0.1:2", carrier: dedicated}
                  c: {listen: "127.0.0.1:3", carrier: Shared}
                  d: {listen: "127.0.0.1:4", carrier: [own]}
                  e: {listen: "127.0.0.1:5", carrier: }

                """),
            Expected("5:39", "services.a.carrier: unknown carrier \"onw\"", "did you mean own?"),
            Expected("6:39", "services.b.carrier: unknown carrier \"dedicated\"", "known carriers: shared, own"),
            Expected("7:39", "services.c.carrier: unknown carrier \"Shared\"", "did you mean shared?"),
            Expected("8:39", "services.d.carrier must be one of shared, own, found a list", "write one of"),
            Expected("9:39", "services.e.carrier must be one of shared, own, found nothing", "write one of")),
        BadCase(
            "a mistyped log level", server("log: {level: warn}\n"),
            Expected("7:14", "unknown level \"warn\"", "did you mean warning?")),
        BadCase(
            "a log level in capitals", server("log: {level: INFO}\n"),
            Expected("7:14", "unknown level \"INFO\"", "did you mean info?")),
        BadCase(
            "bad addresses",
            "listen: [\"localhost\", \"1.2.3.4:99999\"]\nidentity: server.key\nservices: {x: {target: \"http://a:1\"}, y: {target: \"b:0\"}}\ndevices: {}\n",
            Expected("1:10", "listen: \"localhost\" has no port", "HOST:PORT"),
            Expected("1:23", "does not end with a port", "0 to 65535"),
            Expected("3:24", "services.x.target: \"http://a:1\" has a scheme", "HOST:PORT"),
            Expected("3:51", "services.y.target: \"b:0\" has port 0", "from 1 to 65535")),
        BadCase(
            "a socket path that grows too long below the directory",
            "listen: \"unix:\(String(repeating: "s", count: 100))\"\n" + withoutListen,
            Expected("1:9", "Linux allows 107", "shorter")),
        BadCase(
            "names of services",
            "listen: \"a:1\"\nidentity: server.key\nservices:\n  Postgres: {target: \"b:1\"}\n  -x: {target: \"b:1\"}\ndevices: {}\n",
            Expected("4:3", "\"Postgres\" is not a service name", "a-z"), Expected("5:3", "\"-x\" is not", "first")),
        BadCase(
            "names of devices",
            withoutDevices
                + "devices:\n  my laptop: {key: KEY, services: [x]}\n  \"\\e[0m\": {key: OTHER, services: [x]}\n",
            Expected("5:3", "\"my laptop\" is not a device name", "letters"),
            Expected("6:3", "control character", "remove")),
        BadCase(
            "public keys",
            withoutDevices
                + "devices:\n  a: {key: owpub-abc, services: []}\n  b: {key: abc, services: []}\n  c: {key: 7, services: []}\n",
            Expected("5:12", "devices.a.key: a public key has 56 characters", "oncewire pubkey prints on the device"),
            Expected("6:12", "devices.b.key: a public key begins with", "oncewire pubkey"),
            Expected("7:12", "devices.c.key: a public key begins with", "oncewire pubkey")),
        BadCase(
            "a missing identity", Workshop.goodServer.replacing("server.key", with: "absent.key"),
            Expected("2:11", "there is no identity file", "")),
        BadCase(
            "an identity that others can read", Workshop.goodServer.replacing("server.key", with: "open.key"),
            Expected("2:11", "is open to others, mode 0644", "")),
        BadCase(
            "an identity that is a directory", Workshop.goodServer.replacing("server.key", with: "."),
            Expected("2:11", "is not a regular file", "")),
        BadCase(
            "an identity without a name", Workshop.goodServer.replacing("server.key", with: "\"\""),
            Expected("2:11", "identity is empty", "oncewire keygen")),
    ]

    private static let withoutDevices =
        "listen: \"a:1\"\nidentity: server.key\nservices: {x: {target: \"b:1\"}}\n"

    /// Values that are right by themselves and contradict each other.
    static let contradictions: [BadCase] = [
        BadCase(
            "a service nobody defined", Workshop.goodServer.replacing("[postgres]", with: "[postgres, postgrse, web]"),
            Expected(
                "6:104", "devices.laptop.services: unknown service \"postgrse\"",
                "did you mean postgres? known services: postgres"),
            Expected("6:114", "unknown service \"web\"", "known services: postgres")),
        BadCase(
            "a service that is wrong itself is known",
            "listen: \"a:1\"\nidentity: server.key\nservices: {x: {target: 7}}\ndevices: {d: {key: KEY, services: [x]}}\n",
            Expected("3:24", "services.x.target: \"7\" is a port without a host", "127.0.0.1:7")),
        BadCase(
            "a service listed twice", withoutDevices + "devices: {d: {services: [x, x], key: KEY}}\n",
            Expected("4:29", "x is listed twice", "remove one")),
        BadCase(
            "two devices with one key",
            withoutDevices + "devices:\n  a: {key: KEY, services: x}\n  b: {key: KEY, services: x}\n",
            Expected("6:12", "b has the same key as a at 5:3", "key of its own")),
        BadCase(
            "the server's key as a device's", withoutDevices + "devices: {d: {key: OWN, services: [x]}}\n",
            Expected("4:20", "devices.d.key is this server's own key", "the device's key")),
        BadCase(
            "the client's key as the server's", Workshop.goodClient.replacing("OWN", with: "KEY"),
            Expected("1:42", "server.key is this client's own key", "the server's key")),
        BadCase(
            "one listener twice", "listen: [\"[::1]:7\", \"[0::1]:7\", \"unix:/s\", \"unix:/s\"]\n" + withoutListen,
            Expected("1:21", "[::1]:7 is listened on twice, first at 1:10", "of its own"),
            Expected("1:44", "unix:/s is listened on twice", "of its own")),
        BadCase(
            "one listener of two services", client("  redis: {listen: [\"127.0.0.1:5432\", \"127.0.0.2:5432\"]}\n"),
            Expected("5:20", "127.0.0.1:5432 is listened on twice, first at 4:22", "of its own")),
        BadCase(
            "all addresses and one of them", client("  redis: {listen: \"0.0.0.0:5432\"}\n"),
            Expected("5:19", "0.0.0.0:5432 and 127.0.0.1:5432 at 4:22 take the same port", "not both")),
        BadCase(
            "all IPv6 addresses and one of them",
            "listen: [\"[::]:7\", \"[::1]:7\", \"127.0.0.1:7\"]\n" + withoutListen,
            Expected("1:20", "[::1]:7 and [::]:7 at 1:10 take the same port", "not both")),
        BadCase(
            "a target that is the server itself", Workshop.goodServer.replacing("5432", with: "7700"),
            Expected("4:22", "services.postgres.target is an address this server itself listens on", "of the service")),
        BadCase(
            "a listener that is the server", Workshop.goodClient.replacing("5432", with: "7700"),
            Expected("4:22", "services.postgres.listen is the address of the server", "127.0.0.1")),
        BadCase(
            "a heartbeat above the default of dead-after", server("carriers: {heartbeat: 30s}\n"),
            Expected(
                "7:23", "carriers.heartbeat 30s must be less than carriers.dead-after 30s (the default)",
                "lower heartbeat")),
        BadCase(
            "a heartbeat above dead-after", server("carriers: {heartbeat: 6s, dead-after: 5s}\n"),
            Expected("7:39", "carriers.heartbeat 6s must be less than carriers.dead-after 5s", "raise dead-after")),
        BadCase(
            "a floor above the cap", client("pool: {max-idle: 3, min-idle: 4}\n"),
            Expected("5:31", "pool.min-idle 4 must not exceed pool.max-idle 3", "lower min-idle or raise max-idle")),
        BadCase(
            "a cap below the default floor", client("pool: {max-idle: 1}\n"),
            Expected("5:18", "pool.min-idle 2 (the default) must not exceed pool.max-idle 1", "lower min-idle")),
        BadCase(
            "lifetimes in the wrong order", server("conversation: {lifetime: 10m}\n"),
            Expected(
                "7:26", "conversation.ratchet-every 15m (the default) must not exceed conversation.lifetime 10m",
                "lower ratchet-every"),
            Expected(
                "7:26", "conversation.idle-timeout 1h (the default) must not exceed conversation.lifetime 10m",
                "lower idle-timeout")),
        BadCase(
            "a first byte later than the handshake", server("admission: {handshake-timeout: 1s}\n"),
            Expected(
                "7:32", "admission.first-byte-timeout 5s (the default) must not exceed admission.handshake-timeout 1s",
                "raise handshake-timeout")),
    ]
}
