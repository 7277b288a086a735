// Settings to YAML: every effective value, defaults included. What is written here reads back to equal settings.

internal import Pairing

extension ServerSettings {
    /// Every effective value as YAML that loads back to equal settings (whatever directory it is put in, as all
    /// paths are absolute). Of the identity it has the path and, in a comment, the public key.
    package var rendering: String { Page(self, Self.declared).text }
}

extension ClientSettings {
    /// Every effective value as YAML that loads back to equal settings (whatever directory it is put in, as all
    /// paths are absolute). Of the identity it has the path and, in a comment, the public key.
    package var rendering: String { Page(self, Self.declared).text }
}

/// YAML in the making: block mappings within each other, each with its entries in the order in which they came.
struct Page {
    private var top = Mapping()

    private struct Mapping {
        var entries: [Entry] = []
    }

    private struct Entry {
        let key: String
        var value: Value
        var comment: String?
    }

    private indirect enum Value {
        case none
        case text(String)
        case mapping(Mapping)
    }

    /// Every value that the settings of a file have.
    init<File: SendableMetatype>(_ file: File, _ declared: [Declared<File>]) {
        for value in declared.flatMap({ $0.values(file) }) { Self.put(value, value.path[...], into: &top) }
    }

    private static func put<File: SendableMetatype>(
        _ value: Declared<File>.Value, _ path: ArraySlice<String>, into mapping: inout Mapping
    ) {
        guard let name = path.first else { return }
        let key = Self.key(name)
        let rest = path.dropFirst()
        let index = mapping.entries.firstIndex { $0.key == key } ?? mapping.entries.endIndex
        if index == mapping.entries.endIndex { mapping.entries.append(Entry(key: key, value: .mapping(Mapping()))) }
        if rest.isEmpty {
            guard value.text != nil || value.comment != nil else { return }
            mapping.entries[index].value = value.text.map { .text($0) } ?? .none
            mapping.entries[index].comment = value.comment
        } else if case .mapping(var below) = mapping.entries[index].value {
            mapping.entries[index].value = .none
            put(value, rest, into: &below)
            mapping.entries[index].value = .mapping(below)
        }
    }

    /// The whole page.
    var text: String { Self.text(of: top, indent: "") }

    private static func text(of mapping: Mapping, indent: String) -> String {
        mapping.entries.map { entry in
            let comment = entry.comment.map { "\(indent)# \($0)\n" } ?? ""
            let line: String =
                switch entry.value {
                case .none: ""
                case .text(let text): "\(indent)\(entry.key): \(text)\n"
                // A block mapping without entries would read back as nothing at all.
                case .mapping(let below) where below.entries.isEmpty: "\(indent)\(entry.key): {}\n"
                case .mapping(let below): "\(indent)\(entry.key):\n" + text(of: below, indent: indent + "  ")
                }
            return comment + line
        }.joined()
    }

    // MARK: Values

    /// What is said of an identity: never more than its public key.
    static func comment(_ identity: Identity, _ path: String?) -> String {
        "public key \(identity.publicKey.text)" + (path == nil ? ", in memory only" : "")
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
