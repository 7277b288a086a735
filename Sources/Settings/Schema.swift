// Which keys a file may contain in which section, and where a key belongs that stands in the wrong one. Pure values,
// made from the declarations.

/// The keys of one kind of file.
package struct Schema: Sendable {
    /// In the order in which they are shown.
    package let keys: [Key]
    /// Whose file it is.
    private let side: String
    /// What may stand in a section, by its path; `NAME` is what the user names.
    private let names: [String: [String]]

    package static let server = Schema(ServerSettings.declared.map(\.key), "server")
    package static let client = Schema(ClientSettings.declared.map(\.key), "client")
    /// Those that both files have.
    package static let common = CommonSettings.settings.map(\.key)

    private init(_ keys: [Key], _ side: String) {
        self.keys = keys
        self.side = side
        var names: [String: [String]] = [:]
        for key in keys {
            var section = ""
            for component in key.path.split(separator: ".").map(String.init) {
                if names[section]?.contains(component) != true { names[section, default: []].append(component) }
                section = section.isEmpty ? component : "\(section).\(component)"
            }
        }
        self.names = names
    }

    /// What may stand in the section with this path.
    func names(in section: String) -> [String] { names[section] ?? [] }

    /// The key that had that name in the section with this path before.
    func key(formerly name: String, in section: String) -> Key? {
        keys.first { $0.formerly?.name == name && $0.section == section }
    }

    /// Where a key belongs that someone wrote in a section that has no such key.
    static func home(of name: String) -> String? {
        let (server, client) = (server.sections(with: name), client.sections(with: name))
        let both = server.filter(client.contains)
        let places =
            both.map { Self.place($0) } + server.filter { !both.contains($0) }.map { Self.place($0, "server") }
            + client.filter { !both.contains($0) }.map { Self.place($0, "client") }
        guard !places.isEmpty else { return nil }
        // A section that only one of the files has stands nowhere but at its top.
        if places.count == 1, let first = places.first?.dropping(prefix: "at the top of a ") { return "in a \(first)" }
        return places.joined(separator: " and ")
    }

    private func sections(with name: String) -> [String] {
        keys.flatMap { key -> [String] in
            let path = key.path.split(separator: ".").map(String.init)
            return path.indices.filter { path[$0] == name && name != "NAME" }
                .map { path[..<$0].joined(separator: ".") }
        }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    private static func place(_ section: String, _ side: String? = nil) -> String {
        guard let side else { return section.isEmpty ? "at the top of the file" : "under \(words(section))" }
        return section.isEmpty ? "at the top of a \(side)'s file" : "under \(words(section)) in a \(side)'s file"
    }

    private static func words(_ section: String) -> String {
        switch section {
        case "services.NAME": "a service"
        case "devices.NAME": "a device"
        default: section.split(separator: ".").joined(separator: ": ")
        }
    }
}
