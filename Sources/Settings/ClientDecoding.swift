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
        guard let top = Section(root, path: "", mark: root.mark, of: .client, findings: findings) else {
            return nil
        }
        let identity = top.required(ClientSettings.identityKey.key).flatMap { surroundings.identity($0) }
        let server = self.server(top, own: identity?.identity.publicKey)
        let services = self.services(top, server: server.address)
        let pool = top.group(PoolSettings.self)
        let waiting = top.group(WaitingSettings.self)
        let common = top.group(CommonSettings.self)
        warnOfDrain(common.drain, waiting: waiting.atMost, top)
        guard let identity, let address = server.address, let key = server.key, let services else { return nil }
        return ClientSettings(
            server: address, serverKey: key, timeouts: server.timeouts, identity: identity.identity,
            identityPath: identity.path, services: services, pool: pool, waiting: waiting, common: common)
    }

    private func server(
        _ top: Section, own: PublicKey?
    ) -> (address: Address?, key: PublicKey?, timeouts: ServerTimeouts) {
        let keys = (address: ClientSettings.addressKey.key, key: ClientSettings.keyKey.key)
        var timeouts = ServerTimeouts.standard
        guard let node = top.required(Key("server", "", limits: "", change: .restart, advice: keys.address.advice)),
            let section = Section(
                node, path: "server", mark: node.mark, of: .client, form: "{address: …, key: \"owpub-…\"}",
                findings: findings)
        else { return (nil, nil, timeouts) }
        section.read(ServerTimeouts.settings, into: &timeouts)
        let address = section.required(keys.address).flatMap {
            surroundings.address($0, path: keys.address.path, listens: false)
        }
        let keyNode = section.required(keys.key)
        let key = keyNode.flatMap { surroundings.publicKey($0, path: keys.key.path, ofWhom: "the server") }
        if let key, key == own {
            findings.report(keyNode?.mark, "server.key is this client's own key", "put the server's key here")
        }
        return (address, key, timeouts)
    }

    private func services(_ top: Section, server: Address?) -> [ServiceID: ClientService]? {
        let key = ClientSettings.servicesKey
        guard let node = top.required(key),
            let entries = node.entries(path: key.path, form: ClientSettings.servicesForm, findings)
        else { return nil }
        if entries.isEmpty { findings.report(node.mark, "services is empty", key.advice) }
        var services: [ServiceID: ClientService] = [:]
        var check = ListenerCheck()
        for entry in entries {
            guard let id = surroundings.serviceID(entry.key, at: entry.mark) else { continue }
            let path = "services.\(entry.key)"
            guard
                let section = Section(
                    entry.value, path: path, declared: "services.NAME", mark: entry.mark, of: .client,
                    findings: findings),
                let listen = section.required(ClientService.listenKey.key)
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
            var service = ClientService(listen: listeners.map(\.value))
            section.read(ClientService.settings, into: &service)
            services[id] = service
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
        let keys = (drain: CommonSettings.drainKey.key, waiting: WaitingSettings.atMostKey.key)
        let given = [top.node(keys.drain.name)?.mark, top.node(keys.waiting.section)?.mark].compactMap(\.self).max()
        guard drain > waiting, given != nil else { return }
        func shown(_ value: Duration, _ key: String) -> String {
            Quantity.text(value) + (top.node(key) == nil ? " (the default)" : "")
        }
        findings.warn(
            given,
            "drain \(shown(drain, keys.drain.name)) is longer than \(keys.waiting.path) "
                + "\(shown(waiting, keys.waiting.section)): while one side drains, new connections are reset before "
                + "they are served",
            "lower drain, or raise \(keys.waiting.path) above the drain of both sides")
    }
}
