// Typed access to one mapping of a configuration: every value is checked, every problem reported, nothing thrown.

/// A value, where it was given, and whether it may be compared with others.
struct Field<Value> {
    let value: Value
    /// nil if the value is the default.
    let mark: Mark?
    /// False if what was given is wrong and has been reported: `value` is the default then, and says nothing.
    let isSound: Bool
}

/// One mapping with a fixed set of keys.
struct Section {
    /// How messages name it, such as `carriers.rekey`; empty at the top of the file.
    let path: String
    /// Where problems of the section as a whole are reported.
    let mark: Mark
    let findings: Findings
    private let schema: Schema
    /// Its path with `NAME` for what the user names: what the declarations call it.
    private let declared: String
    private let nodes: [String: Node]
    /// Keys that an unknown one was probably meant to be: not missing too, as one slip is one problem.
    private let suggested: Set<String>
    /// Those below it that were read already, by key: each is looked at once.
    private let below = Below()

    private final class Below {
        var sections: [String: Section] = [:]
    }

    /// Reads a mapping and reports every key that does not belong there. nil, and reported, if it is none: `form` is
    /// what to write then, with `: …` for the value of the first key. `declared` is what the declarations call the
    /// section, if that is not its path.
    init?(
        _ node: Node, path: String, declared: String? = nil, mark: Mark, of schema: Schema, form: String? = nil,
        findings: Findings
    ) {
        let form = form ?? "{\(schema.names(in: declared ?? path).first ?? ""): …}"
        guard let entries = node.entries(path: path, form: form, findings) else { return nil }
        self.init(
            path: path, declared: declared ?? path, mark: mark, of: schema, findings: findings, entries: entries)
    }

    private init(
        path: String, declared: String, mark: Mark, of schema: Schema, findings: Findings, entries: [Node.Entry]
    ) {
        self.path = path
        self.declared = declared
        self.mark = mark
        self.schema = schema
        self.findings = findings
        let keys = schema.names(in: declared)
        var nodes: [String: Node] = [:]
        var suggested: Set<String> = []
        for entry in entries {
            if keys.contains(entry.key) {
                nodes[entry.key] = entry.value
            } else if let key = schema.key(formerly: entry.key, in: declared) {
                if let value = Self.value(of: entry, now: key, beside: entries, path, findings) {
                    nodes[key.name] = value
                }
            } else {
                let near = findings.isFull ? nil : nearest(to: entry.key, among: keys)
                if let near { suggested.insert(near) }
                findings.report(
                    entry.mark, "unknown key \(quoted(entry.key))\(path.isEmpty ? "" : " in \(path)")",
                    Self.advice(on: entry.key, near: near, keys: keys))
            }
        }
        self.nodes = nodes
        self.suggested = suggested
    }

    /// What is given under the earlier name of `key`, if that may still be used.
    private static func value(
        of entry: Node.Entry, now key: Key, beside entries: [Node.Entry], _ path: String, _ findings: Findings
    ) -> Node? {
        let place = path.isEmpty ? "" : " in \(path)"
        guard case .read = key.formerly else {
            findings.report(entry.mark, "unknown key \(quoted(entry.key))\(place)", "did you mean \(key.name)?")
            return nil
        }
        if let other = entries.first(where: { $0.key == key.name }) {
            findings.report(
                entry.mark,
                "\(entry.key)\(place) is the earlier name of \(key.name), which is given too, at "
                    + "\(other.mark.line):\(other.mark.column)",
                "remove \(entry.key)")
            return nil
        }
        findings.warn(
            entry.mark, "\(entry.key)\(place) is the earlier name of \(key.name)", "write \(key.name)")
        return entry.value
    }

    private static func advice(on key: String, near: String?, keys: [String]) -> String {
        if let home = Schema.home(of: key) { return "\(key) belongs \(home)" }
        if let near { return "did you mean \(near)?" }
        return "known here: \(keys.joined(separator: ", "))"
    }

    /// How messages name a key of this section.
    func name(_ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    /// The value of a key, if it is given.
    func node(_ key: String) -> Node? {
        nodes[key]
    }

    /// The value of a key that has no default; nil, and reported, if it is missing.
    func required(_ key: Key) -> Node? {
        if nodes[key.name] == nil, !suggested.contains(key.name) {
            findings.report(mark, "\(name(key.name)) is missing", key.advice)
        }
        return nodes[key.name]
    }

    /// A section below this one; one without any key if it is absent or wrong.
    func section(_ key: String) -> Section {
        if let known = below.sections[key] { return known }
        let section = read(key)
        below.sections[key] = section
        return section
    }

    private func read(_ key: String) -> Section {
        let path = name(key)
        let none = Section(
            path: path, declared: path, mark: mark, of: schema, findings: findings, entries: [])
        guard let node = nodes[key] else { return none }
        return Section(node, path: path, mark: node.mark, of: schema, findings: findings) ?? none
    }

    // MARK: Declared settings

    /// All of a group's settings, which may be in several sections below this one; each has its default where none is
    /// given. Called on the top section.
    func group<Group: SettingsGroup>(_ type: Group.Type = Group.self) -> Group {
        var group = Group.standard
        read(Group.settings, into: &group, orders: Group.orders) { setting in
            setting.key.section.split(separator: ".").reduce(self) { $0.section(String($1)) }
        }
        return group
    }

    /// Reads settings of this section into `owner`, which keeps what it has where none is given.
    func read<Owner: SendableMetatype>(_ settings: [Setting<Owner>], into owner: inout Owner) {
        read(settings, into: &owner, orders: []) { _ in self }
    }

    private func read<Owner: SendableMetatype>(
        _ settings: [Setting<Owner>], into owner: inout Owner, orders: [Order<Owner>],
        from section: (Setting<Owner>) -> Section
    ) {
        var found: [String: Setting<Owner>.Found] = [:]
        for setting in settings { found[setting.key.path] = setting.read(section(setting), &owner) }
        for order in orders where !order.holds(owner) {
            guard let low = found[order.low.key.path], let high = found[order.high.key.path], low.isSound, high.isSound
            else { continue }
            section(order.low).report(order, of: owner, low: low.mark, high: high.mark)
        }
    }

    /// Reports two values in the wrong order, at the later one that was given.
    private func report<Owner: SendableMetatype>(_ order: Order<Owner>, of owner: Owner, low: Mark?, high: Mark?) {
        func shown(_ setting: Setting<Owner>, _ mark: Mark?) -> String {
            "\(name(setting.key.name)) \(setting.text(owner) ?? "")" + (mark == nil ? " (the default)" : "")
        }
        findings.report(
            [low, high].compactMap(\.self).max() ?? mark,
            "\(shown(order.low, low)) \(order.orEqual ? "must not exceed" : "must be less than") "
                + shown(order.high, high),
            "lower \(order.low.key.name) or raise \(order.high.key.name)")
    }

    // MARK: Quantities

    func duration(
        _ key: String, default standard: Duration, in range: ClosedRange<Duration>, wholeSeconds: Bool = false
    ) -> Field<Duration> {
        let field = quantity(
            key, default: standard, in: range, form: "a duration such as \(Quantity.text(standard))", plainOnly: false,
            parse: Quantity.duration, text: Quantity.text)
        guard wholeSeconds, field.isSound, field.value.components.attoseconds != 0 else { return field }
        findings.report(
            field.mark, "\(name(key)) must be whole seconds, not \(Quantity.text(field.value))", "round it up")
        return Field(value: standard, mark: field.mark, isSound: false)
    }

    func size(_ key: String, default standard: UInt64, in range: ClosedRange<UInt64>) -> Field<UInt64> {
        quantity(
            key, default: standard, in: range, form: "a size such as \(Quantity.text(bytes: standard))",
            plainOnly: false, parse: { text throws(Complaint) in UInt64(try Quantity.size(text)) },
            text: { Quantity.text(bytes: $0) })
    }

    func count(_ key: String, default standard: Int, in range: ClosedRange<Int>) -> Field<Int> {
        quantity(
            key, default: standard, in: range, form: "a whole number such as \(standard)", plainOnly: true,
            parse: Quantity.count, text: { String($0) })
    }

    /// One of a few words; `what` is what messages call it.
    func word<Word: RawRepresentable<String> & CaseIterable>(
        _ key: String, called what: String, default standard: Word
    ) -> Field<Word> {
        let words = Word.allCases.map(\.rawValue)
        guard let node = node(key) else { return Field(value: standard, mark: nil, isSound: true) }
        let unsound = Field(value: standard, mark: node.mark, isSound: false)
        guard let text = node.text(path: name(key), form: "one of \(words.joined(separator: ", "))", findings) else {
            return unsound
        }
        guard let word = Word(rawValue: text) else {
            let known = "known \(what)s: \(words.joined(separator: ", "))"
            findings.report(
                node.mark, "\(name(key)): unknown \(what) \(quoted(text))",
                nearest(to: text, among: words).map { "did you mean \($0)?" } ?? known)
            return unsound
        }
        return Field(value: word, mark: node.mark, isSound: true)
    }

    private func quantity<Value: Comparable>(
        _ key: String, default standard: Value, in range: ClosedRange<Value>, form: String, plainOnly: Bool,
        parse: (String) throws(Complaint) -> Value, text: (Value) -> String
    ) -> Field<Value> {
        guard let node = nodes[key] else { return Field(value: standard, mark: nil, isSound: true) }
        let unsound = Field(value: standard, mark: node.mark, isSound: false)
        guard let given = node.text(path: name(key), form: form, plainOnly: plainOnly, findings) else {
            return unsound
        }
        do throws(Complaint) {
            let value = try parse(given)
            guard range.contains(value) else {
                findings.report(
                    node.mark, "\(name(key)) is \(text(value))",
                    "it may be \(text(range.lowerBound)) to \(text(range.upperBound))")
                return unsound
            }
            return Field(value: value, mark: node.mark, isSound: true)
        } catch {
            findings.report(node.mark, Complaint("\(name(key)): \(error.message)", error.hint))
            return unsound
        }
    }
}

// MARK: - Kinds of nodes

extension Node {
    /// The entries of a mapping; nil, and reported, if it is none. Text that stands there alone is probably the value
    /// that `form` has `: …` for, and is put there in the advice.
    func entries(path: String, form: String, _ findings: Findings) -> [Entry]? {
        switch content {
        case .mapping(let entries):
            return entries
        case .scalar, .list:
            findings.report(
                mark, "\(path.isEmpty ? "the file" : path) must be a mapping, found \(kind)",
                path.isEmpty
                    ? "write lines of KEY: VALUE"
                    : "write \(path.split(separator: ".").last ?? ""): \(filled(form))")
        case .refused:
            break
        }
        return nil
    }

    private func filled(_ form: String) -> String {
        guard case .scalar(let text, _) = content, kind == "text", !looksLikeKey(text),
            let range = form.firstRange(of: ": …")
        else { return form }
        return "\(form[..<range.lowerBound]): \(quoted(text))\(form[range.upperBound...])"
    }

    /// The items of a list, or a single text as a list of one; nil, and reported, if it is neither.
    func items(path: String, form: String, _ findings: Findings) -> [Node]? {
        switch content {
        case .list(let items):
            return items
        case .scalar where !isNothing:
            return [self]
        case .scalar, .mapping:
            findings.report(mark, "\(path) must be \(form), found \(kind)", "write \(form)")
        case .refused:
            break
        }
        return nil
    }

    /// A text of one line; nil, and reported, if it is something else. `plainOnly` refuses text in quotes.
    func text(path: String, form: String, plainOnly: Bool = false, _ findings: Findings) -> String? {
        switch content {
        case .scalar(let text, let isPlain) where !isNothing:
            guard isPlain || !plainOnly else {
                findings.report(mark, "\(path) must be \(form), found text in quotes", "remove the quotes")
                return nil
            }
            guard !hasControlCharacter(text) else {
                findings.report(
                    mark, "\(path) is \(quoted(text)), which contains a control character",
                    "write \(form) on one line")
                return nil
            }
            guard text.first != " ", text.last != " " else {
                findings.report(
                    mark, "\(path) is \(quoted(text)), which \(text.first == " " ? "begins" : "ends") with a space",
                    "remove the space")
                return nil
            }
            guard !isPlain || text.last != "\"" && text.last != "'" else {
                findings.report(
                    mark, "\(path) is \(quoted(text)), which ends with a quote that was not opened",
                    "put the whole value between quotes, or remove this one")
                return nil
            }
            return text
        case .scalar, .list, .mapping:
            findings.report(mark, "\(path) must be \(form), found \(kind)", "write \(form)")
        case .refused:
            break
        }
        return nil
    }
}
