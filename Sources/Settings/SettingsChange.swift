// What differs between two checked configurations of one kind, and what that needs. Pure values, made from the
// declarations.

/// The difference between the settings that a daemon runs with and others.
package struct SettingsChange: Equatable, Sendable {
    /// A key whose value changed, or a service or a device that was added or taken out.
    package struct Item: Equatable, Sendable, CustomStringConvertible {
        /// From the top of the file, with the names that the user gave: `services`, `postgres`, `target`.
        package let path: [String]
        /// What it needs.
        package let effect: Effect

        /// The dotted path.
        package var description: String { path.joined(separator: ".") }
    }

    /// What became of a mapping's entries, by their names, each in alphabetical order.
    package struct Names: Equatable, Sendable {
        package var added: [String] = []
        package var removed: [String] = []
        package var changed: [String] = []

        package init(added: [String] = [], removed: [String] = [], changed: [String] = []) {
            self.added = added
            self.removed = removed
            self.changed = changed
        }
    }

    /// Everything that changed, in the order in which the keys are shown.
    package let items: [Item]
    package let services: Names
    /// Of a client there are none.
    package let devices: Names

    /// What the change needs as a whole.
    package var effect: Effect { items.map(\.effect).max() ?? .nothing }

    /// The paths that only another start of the daemon can change.
    package var restarts: [String] { items.filter { $0.effect == .restart }.map(\.description) }

    /// What has to change to get from one server's settings to another's.
    package init(from old: ServerSettings, to new: ServerSettings) {
        self.init(ServerSettings.declared, from: old, to: new)
    }

    /// What has to change to get from one client's settings to another's.
    package init(from old: ClientSettings, to new: ClientSettings) {
        self.init(ClientSettings.declared, from: old, to: new)
    }

    private init<File: SendableMetatype>(_ declared: [Declared<File>], from old: File, to new: File) {
        var items: [Item] = []
        var names: [String: Names] = [:]
        // An entry that came or went is one change, whatever it has.
        var whole: Set<[String]> = []
        for declared in declared {
            let before = Self.byPath(declared.values(old))
            let after = Self.byPath(declared.values(new))
            for path in Set(before.keys).union(after.keys).sorted(by: { $0.lexicographicallyPrecedes($1) })
            where before[path] != after[path] && !whole.contains(Array(path.prefix(2))) {
                items.append(Item(path: path, effect: declared.key.change))
                guard path.count > 1 else { continue }
                switch (before[path], after[path]) {
                case (nil, _) where path.count == 2: names[path[0], default: Names()].added.append(path[1])
                case (_, nil) where path.count == 2: names[path[0], default: Names()].removed.append(path[1])
                default:
                    if names[path[0]]?.changed.last != path[1] {
                        names[path[0], default: Names()].changed.append(path[1])
                    }
                }
                if path.count == 2, before[path] == nil || after[path] == nil { whole.insert(path) }
            }
        }
        self.items = items
        services = names["services"]?.sorted ?? Names()
        devices = names["devices"]?.sorted ?? Names()
    }

    /// What values are compared by, by where they stand.
    private static func byPath<File>(_ values: [Declared<File>.Value]) -> [[String]: String] {
        Dictionary(values.map { ($0.path, $0.compared) }, uniquingKeysWith: { first, _ in first })
    }
}

extension SettingsChange.Names {
    /// In alphabetical order, each name once.
    fileprivate var sorted: Self {
        Self(added: added.sorted(), removed: removed.sorted(), changed: Array(Set(changed)).sorted())
    }
}
