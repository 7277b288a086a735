// A client's configuration: nodes to checked settings.

internal import Pairing
internal import Wire

struct ClientDecoding {
    let surroundings: Surroundings
    private var findings: Findings { surroundings.findings }

    init(_ surroundings: Surroundings) {
        self.surroundings = surroundings
    }

    /// The settings; nil if something without which there are none is missing or wrong, which is then reported.
    /// Settings that come with reported problems are not to be used either.
    func settings(_ root: Node) -> ClientSettings? {
        guard let top = Section(root, path: "", mark: root.mark, keys: Keys.client, findings: findings) else {
            return nil
        }
        let identity = top.required("identity", "make one with: oncewire keygen --identity FILE, and write FILE here")
            .flatMap { surroundings.identity($0) }
        let server = self.server(top, own: identity?.identity.publicKey)
        let services = self.services(top, server: server.address)
        let pool = self.pool(top)
        let waiting = self.waiting(top)
        let common = top.common(top.section("limits", keys: Keys.limits))
        warnOfDrain(common.drain, waiting: waiting.atMost, top)
        guard let identity, let address = server.address, let key = server.key, let services else { return nil }
        return ClientSettings(
            server: address, serverKey: key, timeouts: server.timeouts, identity: identity.identity,
            identityPath: identity.path, services: services, pool: pool, waiting: waiting, common: common)
    }

    private func server(
        _ top: Section, own: PublicKey?
    ) -> (address: Address?, key: PublicKey?, timeouts: ServerTimeouts) {
        let standard = ServerTimeouts()
        let form = "write server: {address: \"HOST:7700\", key: \"owpub-…\"}"
        guard let node = top.required("server", form),
            let section = Section(
                node, path: "server", mark: node.mark, keys: Keys.remote,
                form: "{address: …, key: \"owpub-…\"}", findings: findings)
        else { return (nil, nil, standard) }
        let range = Duration.milliseconds(10)...(.seconds(600))
        let timeouts = ServerTimeouts(
            connect: section.duration("connect-timeout", default: standard.connect, in: range).value,
            answer: section.duration("answer-timeout", default: standard.answer, in: range).value)
        let address = section.required("address", form).flatMap {
            surroundings.address($0, path: "server.address", listens: false)
        }
        let keyNode = section.required("key", "run on the server: oncewire pubkey --identity FILE")
        let key = keyNode.flatMap { surroundings.publicKey($0, path: "server.key", ofWhom: "the server") }
        if let key, key == own {
            findings.report(keyNode?.mark, "server.key is this client's own key", "put the server's key here")
        }
        return (address, key, timeouts)
    }

    private func services(_ top: Section, server: Address?) -> [ServiceID: ClientService]? {
        let form = "{postgres: {listen: \"127.0.0.1:5432\"}}"
        guard let node = top.required("services", "write services: \(form)"),
            let entries = node.entries(path: "services", form: form, findings)
        else { return nil }
        if entries.isEmpty {
            findings.report(node.mark, "services is empty", "write services: \(form)")
        }
        var services: [ServiceID: ClientService] = [:]
        var check = ListenerCheck()
        for entry in entries {
            guard let id = surroundings.serviceID(entry.key, at: entry.mark) else { continue }
            let path = "services.\(entry.key)"
            guard
                let section = Section(
                    entry.value, path: path, mark: entry.mark, keys: Keys.clientService, findings: findings),
                let listen = section.required("listen", "write listen: \"127.0.0.1:PORT\"")
            else { continue }
            let listeners = surroundings.listeners(listen, path: "\(path).listen")
            for listener in listeners {
                check.add(listener, findings: findings)
                warnOfReach(of: listener, path: "\(path).listen")
                if listener.value == server {
                    findings.report(
                        listener.mark, "\(path).listen is the address of the server",
                        "listen where the applications connect to, such as 127.0.0.1")
                }
            }
            services[id] = ClientService(
                listen: listeners.map(\.value),
                carrier: section.word("carrier", called: "carrier", default: .shared))
        }
        return services
    }

    /// Between an application and its client nothing is encrypted, and nobody is asked for a name.
    private func warnOfReach(of listener: Located<Address>, path: String) {
        guard !listener.value.isOfThisHostAlone else { return }
        findings.warn(
            listener.mark,
            "\(path) \(listener.value) may be reachable from other hosts: those can use the service as this client does, "
                + "and what they send is not encrypted up to here",
            "listen on 127.0.0.1 or a unix socket, or let a firewall admit only whom you mean")
    }

    /// Connections wait for a server that drains no longer than this.
    private func warnOfDrain(_ drain: Duration, waiting: Duration, _ top: Section) {
        let given = [top.node("drain")?.mark, top.node("waiting")?.mark].compactMap(\.self).max()
        guard drain > waiting, given != nil else { return }
        func shown(_ value: Duration, _ key: String) -> String {
            Quantity.text(value) + (top.node(key) == nil ? " (the default)" : "")
        }
        findings.warn(
            given,
            "drain \(shown(drain, "drain")) is longer than waiting.at-most \(shown(waiting, "waiting")): while one "
                + "side drains, new connections are reset before they are served",
            "lower drain, or raise waiting.at-most above the drain of both sides")
    }

    private func pool(_ top: Section) -> PoolSettings {
        let standard = PoolSettings()
        let section = top.section("pool", keys: Keys.pool)
        let floor = section.count("floor", default: standard.floor, in: 0...65_536)
        let cap = section.count("cap", default: standard.cap, in: 1...65_536)
        section.requireOrder(("floor", floor), isBelow: ("cap", cap), orEqual: true) { String($0) }
        return PoolSettings(floor: floor.value, cap: cap.value)
    }

    private func waiting(_ top: Section) -> WaitingSettings {
        let standard = WaitingSettings()
        let section = top.section("waiting", keys: Keys.waiting)
        return WaitingSettings(
            most: section.count("most", default: standard.most, in: 0...1_000_000).value,
            atMost: section.duration("at-most", default: standard.atMost, in: .milliseconds(1)...(.seconds(600))).value)
    }
}
