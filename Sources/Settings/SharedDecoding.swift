// Parts of a configuration that look the same on both sides: addresses, keys, identities, carriers, limits.

internal import Pairing
internal import Wire

extension Section {
    /// The settings both daemons share; called on the top section.
    func common() -> CommonSettings {
        let standard = CommonSettings()
        let carriers = section("carriers", keys: Keys.carriers)
        let heartbeat = carriers.duration(
            "heartbeat", default: standard.heartbeat, in: .milliseconds(1)...(.seconds(3600)))
        let deadAfter = carriers.duration(
            "dead-after", default: standard.deadAfter, in: .milliseconds(2)...(.seconds(86_400)))
        carriers.requireOrder(
            ("heartbeat", heartbeat), isBelow: ("dead-after", deadAfter), orEqual: false, Quantity.text)

        return CommonSettings(
            shards: shards(default: standard.shards), heartbeat: heartbeat.value, deadAfter: deadAfter.value,
            rekey: carriers.rekey(),
            drain: duration("drain", default: standard.drain, in: .zero...(.seconds(3600))).value,
            maxConnections: section("limits", keys: Keys.limits)
                .count("connections", default: standard.maxConnections, in: 1...10_000_000).value,
            logLevel: section("log", keys: Keys.log).logLevel(default: standard.logLevel))
    }

    private func rekey() -> RekeySettings {
        let standard = RekeySettings()
        let rekey = section("rekey", keys: Keys.rekey)
        let frames = rekey.count("frames", default: Int(clamping: standard.frames), in: 16...(1 << 48))
        return RekeySettings(
            frames: UInt64(clamping: frames.value),
            bytes: rekey.size("bytes", default: standard.bytes, in: (64 << 10)...(1 << 50)),
            every: rekey.duration("every", default: standard.every, in: .milliseconds(100)...(.seconds(86_400))).value)
    }

    private func shards(default standard: Int) -> Int {
        if let node = node("shards"), case .scalar("auto", _) = node.content { return 0 }
        if let node = node("shards"), node.kind == "text" {
            findings.report(node.mark, "shards must be auto or a whole number, found text", "write auto or 1 to 256")
            return standard
        }
        return count("shards", default: standard, in: 1...256).value
    }

    private func logLevel(default standard: LogLevel) -> LogLevel {
        let words = LogLevel.allCases.map(\.rawValue)
        guard let node = node("level"),
            let text = node.text(path: name("level"), form: "one of \(words.joined(separator: ", "))", findings)
        else { return standard }
        guard let level = LogLevel(rawValue: text) else {
            let known = "known levels: \(words.joined(separator: ", "))"
            findings.report(
                node.mark, "\(name("level")): unknown level \(quoted(text))",
                nearest(to: text, among: words).map { "did you mean \($0)?" } ?? known)
            return standard
        }
        return level
    }

    /// Reports two values in the wrong order, at the later one that was given.
    func requireOrder<Value: Comparable>(
        _ low: (key: String, field: Field<Value>), isBelow high: (key: String, field: Field<Value>), orEqual: Bool,
        _ text: (Value) -> String
    ) {
        guard low.field.isSound, high.field.isSound else { return }
        let (a, b) = (low.field.value, high.field.value)
        guard orEqual ? a > b : a >= b else { return }
        func shown(_ field: Field<Value>) -> String {
            text(field.value) + (field.mark == nil ? " (the default)" : "")
        }
        let relation = orEqual ? "must not exceed" : "must be less than"
        findings.report(
            [low.field.mark, high.field.mark].compactMap(\.self).max() ?? mark,
            "\(name(low.key)) \(shown(low.field)) \(relation) \(name(high.key)) \(shown(high.field))",
            "lower \(low.key) or raise \(high.key)")
    }
}

/// What both sides need to turn text into values: where relative paths start and where problems go.
struct Surroundings {
    /// The directory of the configuration file, as an absolute path.
    let directory: String
    let findings: Findings

    /// One address; port 0 is legal only where the kernel may choose one.
    func address(_ node: Node, path: String, allowsPortZero: Bool) -> Address? {
        let form = "an address (HOST:PORT, \"[IPV6]:PORT\" or unix:/PATH)"
        guard let text = node.text(path: path, form: form, findings) else { return nil }
        do throws(Complaint) {
            let address = try Address(text).resolved(against: directory)
            if case .tcp(_, port: 0) = address, !allowsPortZero {
                throw Complaint("\(quoted(text)) has port 0", "name the port to connect to, from 1 to 65535")
            }
            return address
        } catch {
            findings.report(node.mark, Complaint("\(path): \(error.message)", error.hint))
            return nil
        }
    }

    /// One address to listen on or a list of at least one.
    func listeners(_ node: Node, path: String) -> [Located<Address>] {
        guard let items = node.items(path: path, form: "an address or a list of addresses", findings) else { return [] }
        if items.isEmpty {
            findings.report(node.mark, "\(path) is an empty list", "give at least one address to listen on")
        }
        return items.compactMap { item in
            address(item, path: path, allowsPortZero: true).map { Located(value: $0, mark: item.mark) }
        }
    }

    /// A service's name.
    func serviceID(_ text: String, at mark: Mark) -> ServiceID? {
        guard let id = ServiceID(text), !looksLikeKey(text) else {
            findings.report(
                mark, "\(quoted(text)) is not a service name",
                "use 1 to 63 of a-z, 0-9, dot, hyphen and underscore, a letter or digit first")
            return nil
        }
        return id
    }

    func publicKey(_ node: Node, path: String, ofWhom owner: String) -> PublicKey? {
        let form = "a public key (owpub-…)"
        guard let text = node.text(path: path, form: form, findings) else { return nil }
        do throws(KeyTextError) {
            return try PublicKey(text: text)
        } catch .privateKey {
            findings.report(
                node.mark, "\(path) is a private key",
                "put the public key here (oncewire pubkey) and make a new identity, as this one is no longer secret")
        } catch {
            // The text is not repeated: it may be a private key that lost its prefix.
            findings.report(
                node.mark, "\(path): \(error)", "copy all that oncewire pubkey prints on \(owner)")
        }
        return nil
    }

    /// The identity in the file that `node` names, and that file's absolute path.
    func identity(_ node: Node) -> (identity: Identity, path: String)? {
        guard let text = node.text(path: "identity", form: "the path of an identity file", findings) else { return nil }
        guard !looksLikeKey(text), !text.isEmpty else {
            findings.report(
                node.mark, "identity is \(text.isEmpty ? "empty" : "a key"), not the path of an identity file",
                "make one with: oncewire keygen --identity FILE, and write FILE here")
            return nil
        }
        let path = absolutePath(text, in: directory)
        do throws(IdentityFileError) {
            return (try Identity.load(path: path), path)
        } catch {
            findings.report(node.mark, "identity: \(error)", nil)
            return nil
        }
    }
}

/// A value and where it was given.
struct Located<Value> {
    let value: Value
    let mark: Mark
}

/// Finds listeners that would take each other's connections.
struct ListenerCheck {
    private var taken: [Address: Mark] = [:]
    /// The first listener of each family and port, and the one on all addresses of that family.
    private var first: [Port: Located<Address>] = [:]
    private var wildcard: [Port: Located<Address>] = [:]

    private struct Port: Hashable {
        let isIPv6: Bool
        let number: UInt16
    }

    /// Reports a listener that collides with one before it.
    mutating func add(_ listener: Located<Address>, findings: Findings) {
        if case .tcp(_, port: 0) = listener.value { return }  // the kernel chooses, and never the same twice
        if let other = taken.updateValue(listener.mark, forKey: listener.value) {
            taken[listener.value] = other
            findings.report(
                listener.mark, "\(listener.value) is listened on twice, first at \(other.line):\(other.column)",
                "give every listener an address of its own")
            return
        }
        guard case .tcp(let host, let number) = listener.value else { return }
        let isIPv6 = host.contains(":")
        let isIPv4 = host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        guard isIPv6 || isIPv4 else { return }  // a name, known only to the resolver
        let port = Port(isIPv6: isIPv6, number: number)
        let isWildcard = host == "0.0.0.0" || host == "::"
        if let other = isWildcard ? first[port] : wildcard[port] {
            findings.report(
                listener.mark,
                "\(listener.value) and \(other.value) at \(other.mark.line):\(other.mark.column) take the same port",
                "listen on all addresses or on single ones, not both")
        }
        if first[port] == nil { first[port] = listener }
        if isWildcard { wildcard[port] = listener }
    }
}
