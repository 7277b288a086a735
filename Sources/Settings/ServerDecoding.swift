// A server's configuration: nodes to checked settings.

internal import Pairing
internal import Wire

struct ServerDecoding {
    let surroundings: Surroundings
    private var findings: Findings { surroundings.findings }

    init(_ surroundings: Surroundings) {
        self.surroundings = surroundings
    }

    /// The settings; nil if something without which there are none is missing or wrong, which is then reported.
    /// Settings that come with reported problems are not to be used either.
    func settings(_ root: Node) -> ServerSettings? {
        guard let top = Section(root, path: "", mark: root.mark, of: .server, findings: findings) else {
            return nil
        }
        let listen = self.listen(top)
        let identity = top.required(ServerSettings.identityKey.key).flatMap { surroundings.identity($0) }
        let services = self.services(top, listen: listen)
        let devices = self.devices(top, known: services?.known, own: identity?.identity.publicKey)
        let conversation = top.group(Lifetimes.self)
        let admission = top.group(AdmissionSettings.self)
        let common = top.group(CommonSettings.self)
        let deviceLimits = top.group(DeviceLimits.self)
        warnOfDrain(common.drain, top)
        guard let identity, let services, let devices else { return nil }
        return ServerSettings(
            listen: listen, identity: identity.identity, identityPath: identity.path, services: services.settings,
            devices: devices, conversation: conversation, common: common, admission: admission,
            deviceLimits: deviceLimits)
    }

    /// While a server drains, its clients hold what applications open, and they do not wait for ever.
    private func warnOfDrain(_ drain: Duration, _ top: Section) {
        let waiting = WaitingSettings().atMost
        guard drain > waiting else { return }
        findings.warn(
            top.node(CommonSettings.drainKey.key.name)?.mark,
            "drain \(Quantity.text(drain)) is longer than clients hold connections by default "
                + "(\(WaitingSettings.atMostKey.key.path) \(Quantity.text(waiting))): one stream that stays open makes a restart an outage",
            "lower drain, or raise \(WaitingSettings.atMostKey.key.path) in every client's file above it")
    }

    private func listen(_ top: Section) -> [Address] {
        guard let node = top.required(ServerSettings.listenKey.key) else { return [] }
        let listeners = surroundings.listeners(node, path: "listen")
        var check = ListenerCheck()
        for listener in listeners {
            check.add(listener, findings: findings)
        }
        return listeners.map(\.value)
    }

    // MARK: Services

    /// `known` also has the services whose own settings are wrong, so that those are reported once and not again
    /// for every device that uses them.
    private func services(
        _ top: Section, listen: [Address]
    ) -> (settings: [ServiceID: ServerService], known: Set<ServiceID>)? {
        let key = ServerSettings.servicesKey
        guard let node = top.required(key),
            let entries = node.entries(path: key.path, form: ServerSettings.servicesForm, findings)
        else { return nil }
        if entries.isEmpty { findings.report(node.mark, "services is empty", key.advice) }
        var settings: [ServiceID: ServerService] = [:]
        var known: Set<ServiceID> = []
        for entry in entries {
            guard let id = surroundings.serviceID(entry.key, at: entry.mark) else { continue }
            known.insert(id)
            settings[id] = service(entry, listen: listen)
        }
        return (settings, known)
    }

    private func service(_ entry: Node.Entry, listen: [Address]) -> ServerService? {
        let path = "services.\(entry.key)"
        guard
            let section = Section(
                entry.value, path: path, declared: "services.NAME", mark: entry.mark, of: .server, findings: findings)
        else { return nil }
        var service = ServerService.standard
        section.read(ServerService.settings, into: &service)
        guard let node = section.required(ServerService.targetKey.key),
            let target = surroundings.address(node, path: "\(path).target", listens: false)
        else { return nil }
        if listen.contains(target) {
            findings.report(
                node.mark, "\(path).target is an address this server itself listens on",
                "name the address of the service")
        }
        service.target = target
        return service
    }

    // MARK: Devices

    private func devices(_ top: Section, known: Set<ServiceID>?, own: PublicKey?) -> [Device]? {
        let key = ServerSettings.devicesKey
        guard let node = top.required(key),
            let entries = node.entries(path: key.path, form: ServerSettings.devicesForm, findings)
        else { return nil }
        var owners: [PublicKey: Node.Entry] = [:]
        return entries.compactMap { entry -> Device? in
            guard isDeviceName(entry.key, at: entry.mark),
                let section = Section(
                    entry.value, path: "devices.\(entry.key)", declared: "devices.NAME", mark: entry.mark, of: .server,
                    form: "{key: \"owpub-…\", services: [NAME]}", findings: findings)
            else { return nil }
            let services = self.services(of: section, known: known)
            guard let node = section.required(Device.keyKey.key),
                let key = surroundings.publicKey(node, path: section.name("key"), ofWhom: "the device")
            else { return nil }
            if key == own {
                findings.report(
                    node.mark, "\(section.name("key")) is this server's own key", "put the device's key here")
            }
            if let other = owners[key] {
                findings.report(
                    node.mark,
                    "\(entry.key) has the same key as \(other.key) at \(other.mark.line):\(other.mark.column)",
                    "give every device a key of its own: oncewire keygen")
            } else {
                owners[key] = entry
            }
            return Device(name: entry.key, key: key, services: services)
        }
    }

    private func isDeviceName(_ name: String, at mark: Mark) -> Bool {
        let bytes = name.utf8
        guard (1...63).contains(bytes.count), let first = bytes.first, isLetterOrDigit(first),
            bytes.allSatisfy({ isLetterOrDigit($0) || "._-@".utf8.contains($0) }), !looksLikeKey(name)
        else {
            findings.report(
                mark, "\(quoted(name)) is not a device name",
                name == "*"
                    ? "there is no wildcard: list every device with its own key"
                    : "use 1 to 63 letters, digits, dots, hyphens, underscores and @, a letter or digit first")
            return false
        }
        return true
    }

    private func services(of device: Section, known: Set<ServiceID>?) -> Set<ServiceID> {
        guard let node = device.required(Device.servicesKey.key),
            let items = node.items(path: device.name("services"), form: "a list of services", findings)
        else { return [] }
        var services: Set<ServiceID> = []
        for item in items {
            guard let text = item.text(path: device.name("services"), form: "a list of services", findings) else {
                continue
            }
            guard let id = ServiceID(text), known?.contains(id) != false else {
                findings.report(
                    item.mark, "\(device.name("services")): unknown service \(quoted(text))",
                    Self.advice(on: text, known: known ?? []))
                continue
            }
            if !services.insert(id).inserted {
                findings.report(item.mark, "\(device.name("services")): \(text) is listed twice", "remove one")
            }
        }
        return services
    }

    private static func advice(on text: String, known: Set<ServiceID>) -> String {
        let names = known.map(\.text).sorted()
        guard !names.isEmpty else { return "add it under services" }
        if ["*", "all", "any"].contains(text.lowercased()) {
            return "there is no wildcard: list the services by name, [\(names.prefix(12).joined(separator: ", "))]"
        }
        let shown = names.prefix(12).joined(separator: ", ") + (names.count > 12 ? ", …" : "")
        let near = nearest(to: text, among: names).map { "did you mean \($0)? " } ?? ""
        return "\(near)known services: \(shown)"
    }
}
