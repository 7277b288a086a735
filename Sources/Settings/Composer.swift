// Events to nodes: the strict subset of YAML a configuration is written in. Reports what it refuses, does no I/O.

/// Builds the tree of one document: no aliases, anchors, tags, directives, merge keys, second documents or
/// duplicate keys, and no deeper nesting than `mostDepth`.
struct Composer {
    /// Settings nest four deep; the bound keeps hostile input from recursing through the stack.
    static let mostDepth = 16

    private let source: SourceText
    private let findings: Findings

    /// The document's root; nil if there is none, or if the text is not YAML, which is then reported.
    static func compose(_ source: SourceText, into findings: Findings) -> Node? {
        source.bytes.withUnsafeBufferPointer { bytes in
            guard let events = YAMLEvents(bytes, end: source.end) else {
                findings.report(nil, "there is not enough memory to read the file", "free some memory and try again")
                return nil
            }
            let composer = Composer(source: source, findings: findings)
            do throws(Stop) {
                return try composer.document(from: events)
            } catch {
                return nil
            }
        }
    }

    /// Thrown when reading cannot go on; the reason has been reported.
    private struct Stop: Error {}

    private func document(from events: borrowing YAMLEvents) throws(Stop) -> Node? {
        var root: Node?
        while true {
            let event = try next(events)
            switch event.kind {
            case .streamEnd:
                return root
            case .documentStart(let hasDirective):
                if hasDirective {
                    findings.report(event.mark, "YAML directives are not allowed", "remove the lines that begin with %")
                }
                guard root == nil else {
                    findings.report(
                        event.mark, "a second document starts here", "keep one configuration a file and remove this ---"
                    )
                    throw Stop()
                }
                root = try node(try next(events), events, depth: 1)
            case .streamStart, .documentEnd, .alias, .scalar, .listStart, .listEnd, .mappingStart, .mappingEnd:
                continue
            }
        }
    }

    private func node(_ event: YAMLEvent, _ events: borrowing YAMLEvents, depth: Int) throws(Stop) -> Node {
        guard depth <= Self.mostDepth else {
            findings.report(
                event.mark, "values are nested more than \(Self.mostDepth) deep", "no setting is nested that deep")
            throw Stop()
        }
        var isRefused = false
        if event.hasAnchor {
            findings.report(event.mark, "anchors (&name) are not allowed", "write the value out where it is used")
        }
        if event.hasTag {
            findings.report(event.mark, "tags (!name) are not allowed", "remove the tag")
            isRefused = true
        }
        let content: Node.Content
        switch event.kind {
        case .scalar(let text, let isPlain):
            content = .scalar(text, isPlain: isPlain)
        case .listStart:
            content = .list(try list(events, depth: depth))
        case .mappingStart:
            content = .mapping(try mapping(events, depth: depth))
        case .alias:
            findings.report(
                event.mark, "aliases (*name) are not allowed", "write the value out, in quotes if it begins with *")
            content = .refused
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .listEnd, .mappingEnd:
            content = .refused  // libyaml never sends these where a value belongs
        }
        return Node(mark: event.mark, content: isRefused ? .refused : content)
    }

    private func list(_ events: borrowing YAMLEvents, depth: Int) throws(Stop) -> [Node] {
        var items: [Node] = []
        while true {
            let event = try next(events)
            if case .listEnd = event.kind { return items }
            items.append(try node(event, events, depth: depth + 1))
        }
    }

    private func mapping(_ events: borrowing YAMLEvents, depth: Int) throws(Stop) -> [Node.Entry] {
        var entries: [Node.Entry] = []
        var seen: [String: Mark] = [:]
        while true {
            let event = try next(events)
            if case .mappingEnd = event.kind { return entries }
            let keyNode = try node(event, events, depth: depth + 1)
            let value = try node(try next(events), events, depth: depth + 1)
            guard let key = key(keyNode) else { continue }
            if let first = seen[key] {
                findings.report(
                    keyNode.mark, "\(quoted(key)) is given twice, first at \(first.line):\(first.column)",
                    "keep one of the two")
                continue
            }
            seen[key] = keyNode.mark
            entries.append(Node.Entry(key: key, mark: keyNode.mark, value: value))
        }
    }

    /// The text of a mapping's key; nil, and reported, if it cannot be one.
    private func key(_ node: Node) -> String? {
        switch node.content {
        case .scalar("<<", isPlain: true):
            findings.report(node.mark, "merge keys (<<) are not allowed", "write the settings out")
        case .scalar(let text, _) where text.isEmpty:
            findings.report(node.mark, "a key is missing", "write KEY: VALUE")
        case .scalar(let text, _) where hasControlCharacter(text):
            findings.report(node.mark, "the key \(quoted(text)) contains a control character", "remove it")
        case .scalar(let text, _) where text.first == " " || text.last == " ":
            findings.report(
                node.mark, "the key \(quoted(text)) \(text.first == " " ? "begins" : "ends") with a space",
                "remove the space")
        case .scalar(let text, _):
            return text
        case .list, .mapping:
            findings.report(node.mark, "a key must be text, found \(node.kind)", "write KEY: VALUE")
        case .refused:
            break
        }
        return nil
    }

    private func next(_ events: borrowing YAMLEvents) throws(Stop) -> YAMLEvent {
        do throws(YAMLSyntaxError) {
            return try events.next()
        } catch {
            let (mark, complaint) = SyntaxComplaint.about(error, in: source)
            findings.report(mark, complaint)
            throw Stop()
        }
    }
}
