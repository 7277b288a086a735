// A YAML document as a tree of nodes that remember their place. Pure values; made by Composer.

/// One value of a document and where it starts.
struct Node {
    let mark: Mark
    let content: Content

    enum Content {
        /// Text, and whether it stood there plain, without quotes: only plain text can be a number or nothing.
        case scalar(String, isPlain: Bool)
        case list([Node])
        /// In the order of the file, every key once.
        case mapping([Entry])
        /// Something this reader refuses; already reported, so that nothing more is said about it.
        case refused
    }

    struct Entry {
        let key: String
        let mark: Mark
        let value: Node
    }

    /// True for YAML's ways to write nothing: `key:` with no value, `~` and `null`.
    var isNothing: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// True if reading this node has already been reported as a problem.
    var isRefused: Bool {
        if case .refused = content { true } else { false }
    }

    /// What stands here, in words of an error message.
    var kind: String {
        switch content {
        case .scalar(let text, let isPlain):
            if isNothing { return text.isEmpty ? "nothing" : "nothing, which is what \(text) means in YAML" }
            if isPlain, !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return "a number" }
            return "text"
        case .list: return "a list"
        case .mapping: return "a mapping"
        case .refused: return "something refused"
        }
    }
}
