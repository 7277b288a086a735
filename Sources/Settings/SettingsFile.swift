// From a file to settings, whole or not at all. Reads the configuration and the identity it names.

/// What a configuration file turned out to be.
package enum Loaded: Equatable, Sendable {
    case server(ServerSettings)
    case client(ClientSettings)

    /// Every effective value as YAML.
    package var rendering: String {
        switch self {
        case .server(let settings): settings.rendering
        case .client(let settings): settings.rendering
        }
    }
}

/// Reads configuration files. Every function gives settings that are complete and checked, or throws every problem
/// of the file at once. `warn` gets what is allowed and perhaps not meant, of settings that are given. Nothing is
/// changed on disk.
package enum SettingsFile {
    /// Reads a server's configuration.
    package static func loadServer(
        path: String, warn: (Problem) -> Void = { _ in }
    ) throws(SettingsFailure) -> ServerSettings {
        try server(try FileBytes.read(path), file: path, warn: warn)
    }

    /// Reads a client's configuration.
    package static func loadClient(
        path: String, warn: (Problem) -> Void = { _ in }
    ) throws(SettingsFailure) -> ClientSettings {
        try client(try FileBytes.read(path), file: path, warn: warn)
    }

    /// Reads the configuration of either, and tells which by its keys: `server` makes it a client's, `listen` or
    /// `devices` a server's.
    package static func load(path: String, warn: (Problem) -> Void = { _ in }) throws(SettingsFailure) -> Loaded {
        try either(try FileBytes.read(path), file: path, warn: warn)
    }

    // MARK: From bytes

    /// As `loadServer`, of bytes already read; `file` is used in messages and as the place relative paths start from.
    package static func server(
        _ bytes: [UInt8], file: String, warn: (Problem) -> Void = { _ in }
    ) throws(SettingsFailure) -> ServerSettings {
        try read(bytes, file: file, warn) { root, surroundings in
            guard role(root) != .client else {
                wrongRole(root, key: "server", "a client's configuration", "oncewire client", surroundings.findings)
                return nil
            }
            return ServerDecoding(surroundings).settings(root)
        }
    }

    /// As `loadClient`, of bytes already read.
    package static func client(
        _ bytes: [UInt8], file: String, warn: (Problem) -> Void = { _ in }
    ) throws(SettingsFailure) -> ClientSettings {
        try read(bytes, file: file, warn) { root, surroundings in
            guard role(root) != .server else {
                let key = root.mark(ofKey: "devices") == nil ? "listen" : "devices"
                wrongRole(root, key: key, "a server's configuration", "oncewire server", surroundings.findings)
                return nil
            }
            return ClientDecoding(surroundings).settings(root)
        }
    }

    /// As `load`, of bytes already read.
    package static func either(
        _ bytes: [UInt8], file: String, warn: (Problem) -> Void = { _ in }
    ) throws(SettingsFailure) -> Loaded {
        try read(bytes, file: file, warn) { root, surroundings in
            switch role(root) {
            case .server:
                return ServerDecoding(surroundings).settings(root).map { .server($0) }
            case .client, .both:
                return ClientDecoding(surroundings).settings(root).map { .client($0) }
            case .neither:
                guard root.entries(path: "", form: "", surroundings.findings) != nil else { return nil }
                surroundings.findings.report(
                    root.mark, "this is neither a server's nor a client's configuration",
                    "a server has listen and devices, a client has server")
                return nil
            }
        }
    }

    // MARK: Steps

    /// Bytes to text to tree to settings; throws if any step found a problem.
    private static func read<Settings>(
        _ bytes: [UInt8], file: String, _ warn: (Problem) -> Void, _ decode: (Node, Surroundings) -> Settings?
    ) throws(SettingsFailure) -> Settings {
        let findings = Findings(file: file)
        var settings: Settings?
        if let source = SourceText(bytes, into: findings), !Slips.report(in: source, to: findings) {
            let root = Composer.compose(source, into: findings)
            if let root, !root.isNothing {
                settings = decode(root, Surroundings(directory: FileBytes.directory(of: file), findings: findings))
            } else if findings.isEmpty {
                findings.report(
                    Mark(line: 1, column: 1), "there are no settings in this file",
                    "start from the examples server.yaml and client.yaml")
            }
        }
        guard findings.isEmpty, let settings else { throw findings.failure }
        for warning in findings.warnings { warn(warning) }
        return settings
    }

    private enum Role {
        case server, client, both, neither
    }

    private static func role(_ root: Node) -> Role {
        let isServer = root.mark(ofKey: "listen") != nil || root.mark(ofKey: "devices") != nil
        let isClient = root.mark(ofKey: "server") != nil
        return isServer ? (isClient ? .both : .server) : (isClient ? .client : .neither)
    }

    private static func wrongRole(
        _ root: Node, key: String, _ what: String, _ command: String, _ findings: Findings
    ) {
        findings.report(root.mark(ofKey: key), "this is \(what): it has the key \(key)", "use it with: \(command)")
    }
}

extension Node {
    /// Where a mapping has that key; nil if it has none, or is no mapping.
    fileprivate func mark(ofKey key: String) -> Mark? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.mark
    }
}
