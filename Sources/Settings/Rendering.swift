// Settings to YAML: every effective value, defaults included. What is written here reads back to equal settings.

internal import Pairing
internal import Wire

extension ServerSettings {
    /// Every effective value as YAML that loads back to equal settings (whatever directory it is put in, as all
    /// paths are absolute). Of the identity it has the path and, in a comment, the public key.
    package var rendering: String {
        var page = Page()
        page.addresses("listen", listen)
        page.identity(identity, path: identityPath)
        page.mapping("services") { page in
            for (id, service) in services.sorted(by: { $0.key < $1.key }) {
                page.mapping(Page.key(id.text)) { page in
                    page.line("target", Page.text(service.target.description))
                    page.line("connect-timeout", Quantity.text(service.connectTimeout))
                }
            }
        }
        page.mapping("devices") { page in
            for device in devices {
                page.mapping(Page.key(device.name)) { page in
                    page.line("key", Page.text(device.key.text))
                    page.line("services", Page.list(device.services.map(\.text).sorted().map(Page.key)))
                }
            }
        }
        page.mapping("conversation") { page in
            page.line("epoch", Quantity.text(conversation.epoch))
            page.line("idle", Quantity.text(conversation.idle))
            page.line("lifetime", Quantity.text(conversation.lifetime))
        }
        page.mapping("admission") { page in
            page.line("first-byte", Quantity.text(admission.firstByte))
            page.line("handshake", Quantity.text(admission.handshake))
            page.line("pair-rate", "\(admission.pairRate)")
            page.line("pair-burst", "\(admission.pairBurst)")
            page.line("pending-pairs", "\(admission.pendingPairs)")
        }
        page.common(common, deviceLimits)
        return page.text
    }
}

extension ClientSettings {
    /// Every effective value as YAML that loads back to equal settings (whatever directory it is put in, as all
    /// paths are absolute). Of the identity it has the path and, in a comment, the public key.
    package var rendering: String {
        var page = Page()
        page.mapping("server") { page in
            page.line("address", Page.text(server.description))
            page.line("key", Page.text(serverKey.text))
            page.line("connect-timeout", Quantity.text(timeouts.connect))
            page.line("answer-timeout", Quantity.text(timeouts.answer))
        }
        page.identity(identity, path: identityPath)
        page.mapping("services") { page in
            for (id, service) in services.sorted(by: { $0.key < $1.key }) {
                page.mapping(Page.key(id.text)) { page in
                    page.addresses("listen", service.listen)
                    page.line("carrier", service.carrier.rawValue)
                }
            }
        }
        page.mapping("pool") { page in
            page.line("floor", "\(pool.floor)")
            page.line("cap", "\(pool.cap)")
        }
        page.mapping("waiting") { page in
            page.line("most", "\(waiting.most)")
            page.line("at-most", Quantity.text(waiting.atMost))
        }
        page.common(common)
        return page.text
    }
}

/// YAML in the making: indented lines of block mappings.
private struct Page {
    private(set) var text = ""
    private var depth = 0

    mutating func line(_ key: String, _ value: String) {
        text += String(repeating: "  ", count: depth) + "\(key): \(value)\n"
    }

    mutating func mapping(_ key: String, _ body: (inout Page) -> Void) {
        let before = text
        text += String(repeating: "  ", count: depth) + "\(key):\n"
        let opened = text.utf8.count
        depth += 1
        body(&self)
        depth -= 1
        // A block mapping without entries would read back as nothing at all.
        if text.utf8.count == opened {
            text = before
            line(key, "{}")
        }
    }

    mutating func addresses(_ key: String, _ addresses: [Address]) {
        let texts = addresses.map { Self.text($0.description) }
        line(key, texts.count == 1 ? texts[0] : Self.list(texts))
    }

    mutating func identity(_ identity: Identity, path: String?) {
        let comment = "# public key \(identity.publicKey.text)"
        guard let path else {
            text += "\(comment), in memory only\n"
            return
        }
        text += "\(comment)\n"
        line("identity", Self.text(path))
    }

    mutating func common(_ common: CommonSettings, _ limits: DeviceLimits? = nil) {
        mapping("carriers") { page in
            page.line("heartbeat", Quantity.text(common.heartbeat))
            page.line("dead-after", Quantity.text(common.deadAfter))
            page.mapping("rekey") { page in
                page.line("frames", "\(common.rekey.frames)")
                page.line("bytes", Quantity.text(bytes: common.rekey.bytes))
                page.line("every", Quantity.text(common.rekey.every))
            }
        }
        line("shards", common.shards == 0 ? "auto" : "\(common.shards)")
        line("polling", common.polling.rawValue)
        line("drain", Quantity.text(common.drain))
        mapping("limits") { page in
            page.line("connections", "\(common.maxConnections)")
            if let limits {
                page.line("streams-per-device", "\(limits.streams)")
                page.line("backlog-per-device", Quantity.text(bytes: UInt64(limits.backlog)))
            }
        }
        mapping("log") { page in
            page.line("level", common.logLevel.rawValue)
        }
    }

    static func list(_ items: [String]) -> String {
        "[\(items.joined(separator: ", "))]"
    }

    /// A name as it is where every YAML reader takes it for text, otherwise in quotes.
    static func key(_ name: String) -> String {
        let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        let isPlain =
            name.utf8.first.map { isLetterOrDigit($0) && !(0x30...0x39).contains($0) } == true
            && name.utf8.allSatisfy { isLetterOrDigit($0) || "._-".utf8.contains($0) }
            && !reserved.contains(name.lowercased())
        return isPlain ? name : text(name)
    }

    /// Text in double quotes with YAML's escapes.
    static func text(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": escaped += "\\\(scalar)"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return "\"\(escaped)\""
    }
}
