// A key together with how its value is read and written. Pure values; the declarations themselves are in ServerKeys,
// ClientKeys and CommonKeys.

/// A key of which `Owner` has the value.
struct Setting<Owner: SendableMetatype>: Sendable {
    /// What reading found: where the value stands, nil if it is the default, and whether it may be compared with others.
    typealias Found = (mark: Mark?, isSound: Bool)

    let key: Key
    /// The value as it is written in a file; nil if it has none that a file could hold.
    let text: @Sendable (Owner) -> String?
    /// Reads the value from the section of its key into `Owner`, which keeps its own where none is given.
    let read: @Sendable (Section, inout Owner) -> Found
    /// What two values are compared by; the text unless it says otherwise.
    let compared: @Sendable (Owner) -> String
    /// What is said of the value in a comment.
    let comment: @Sendable (Owner) -> String?

    /// A required key. Its value is read by the code that also checks what it means beside the others.
    init(
        required key: Key, text: @escaping @Sendable (Owner) -> String?,
        compared: (@Sendable (Owner) -> String)? = nil, comment: @escaping @Sendable (Owner) -> String? = { _ in nil }
    ) {
        self.key = key
        self.text = text
        read = { _, _ in (nil, true) }
        self.compared = compared ?? { text($0) ?? "" }
        self.comment = comment
    }

    /// A key with a default, which is the value that `standard` has.
    init(
        _ path: String, _ meaning: String, limits: String, standard: Owner, change: Effect,
        formerly: Key.Former? = nil, text: @escaping @Sendable (Owner) -> String,
        read: @escaping @Sendable (Section, inout Owner) -> Found
    ) {
        key = Key(path, meaning, limits: limits, standard: text(standard), change: change, formerly: formerly)
        self.text = text
        self.read = read
        compared = text
        comment = { _ in nil }
    }
}

// MARK: - Kinds of values

/// A property that a setting reads and writes.
typealias Place<Owner, Value> = any WritableKeyPath<Owner, Value> & Sendable

extension Setting where Owner: Standard {
    /// A duration.
    static func duration(
        _ path: String, _ place: Place<Owner, Duration>, _ range: ClosedRange<Duration>, wholeSeconds: Bool = false,
        _ meaning: String, change: Effect,
        formerly: Key.Former? = nil
    ) -> Setting {
        let kind = wholeSeconds ? "duration in whole seconds" : "duration"
        let bounds = "\(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
        return Setting(
            path, meaning, limits: "\(kind), \(bounds)", standard: .standard, change: change,
            formerly: formerly, text: { Quantity.text($0[keyPath: place]) },
            read: { section, owner in
                section.duration(name(path), default: owner[keyPath: place], in: range, wholeSeconds: wholeSeconds)
                    .put(into: &owner, at: place)
            })
    }

    /// A whole number.
    static func count<Value: FixedWidthInteger & Sendable>(
        _ path: String, _ place: Place<Owner, Value>, _ range: ClosedRange<Int>, _ meaning: String, change: Effect,
        formerly: Key.Former? = nil
    ) -> Setting {
        Setting(
            path, meaning, limits: "\(range.lowerBound) to \(range.upperBound)", standard: .standard, change: change,
            formerly: formerly, text: { "\($0[keyPath: place])" },
            read: { section, owner in
                section.count(name(path), default: Int(clamping: owner[keyPath: place]), in: range)
                    .map { Value(clamping: $0) }.put(into: &owner, at: place)
            })
    }

    /// A size in bytes.
    static func size<Value: FixedWidthInteger & Sendable>(
        _ path: String, _ place: Place<Owner, Value>, _ range: ClosedRange<UInt64>, _ meaning: String, change: Effect,
        formerly: Key.Former? = nil
    ) -> Setting {
        let bounds = "\(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
        return Setting(
            path, meaning, limits: "size, \(bounds)", standard: .standard, change: change,
            formerly: formerly, text: { Quantity.text(bytes: UInt64(clamping: $0[keyPath: place])) },
            read: { section, owner in
                section.size(name(path), default: UInt64(clamping: owner[keyPath: place]), in: range)
                    .map { Value(clamping: $0) }.put(into: &owner, at: place)
            })
    }

    /// One of a few words; `what` is what messages call it.
    static func word<Word: RawRepresentable<String> & CaseIterable & Sendable>(
        _ path: String, _ place: Place<Owner, Word>, called what: String, _ meaning: String, change: Effect,
        formerly: Key.Former? = nil
    ) -> Setting {
        let words = Word.allCases.map { "`\($0.rawValue)`" }
        let all = words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
        return Setting(
            path, meaning, limits: all, standard: .standard, change: change,
            formerly: formerly, text: { $0[keyPath: place].rawValue },
            read: { section, owner in
                section.word(name(path), called: what, default: owner[keyPath: place]).put(into: &owner, at: place)
            })
    }
}

/// What stands in the file for a key with this path.
private func name(_ path: String) -> String { path.split(separator: ".").last.map(String.init) ?? "" }

extension Field {
    func map<Other>(_ change: (Value) -> Other) -> Field<Other> {
        Field<Other>(value: change(value), mark: mark, isSound: isSound)
    }

    /// Puts the value in its place, and says what was found.
    func put<Owner: SendableMetatype>(into owner: inout Owner, at place: WritableKeyPath<Owner, Value>)
        -> Setting<Owner>.Found
    {
        owner[keyPath: place] = value
        return (mark, isSound)
    }
}

/// Settings of which those with a default have one.
protocol Standard: Sendable {
    /// Has the default of every key that has one.
    static var standard: Self { get }
}

// MARK: - Order of two values

/// Two settings of one section, of which the first has to stay below the second.
struct Order<Owner: SendableMetatype>: Sendable {
    let low: Setting<Owner>
    let high: Setting<Owner>
    /// Whether both may be equal.
    let orEqual: Bool
    let holds: @Sendable (Owner) -> Bool

    init<Value: Comparable & SendableMetatype>(
        _ low: Setting<Owner>, _ lowPlace: Place<Owner, Value>, isBelow high: Setting<Owner>,
        _ highPlace: Place<Owner, Value>, orEqual: Bool
    ) {
        self.low = low
        self.high = high
        self.orEqual = orEqual
        holds = { owner in
            let (a, b) = (owner[keyPath: lowPlace], owner[keyPath: highPlace])
            return orEqual ? a <= b : a < b
        }
    }
}

/// Settings that all have defaults, and so are read without further ado.
protocol SettingsGroup: Standard {
    static var settings: [Setting<Self>] { get }
    static var orders: [Order<Self>] { get }
}

extension SettingsGroup {
    static var orders: [Order<Self>] { [] }
}

// MARK: - Of a whole file

/// One key as the settings of a whole file have it: none, one or many values.
struct Declared<File: SendableMetatype>: Sendable {
    /// A value where it stands in the file.
    struct Value {
        /// From the top, with the names that the user gave.
        let path: [String]
        /// Nil for what has no text of its own: a mapping.
        let text: String?
        let compared: String
        let comment: String?
    }

    let key: Key
    let values: @Sendable (File) -> [Value]

    /// A setting of the part of a file that `part` is.
    init<Part: SendableMetatype>(_ setting: Setting<Part>, in part: any KeyPath<File, Part> & Sendable) {
        let path = setting.key.path.split(separator: ".").map(String.init)
        key = setting.key
        values = { file in [Value(setting, file[keyPath: part], path)] }
    }

    /// A setting that each of the user's `items` has, by the user's names.
    init<Item: SendableMetatype>(
        _ setting: Setting<Item>, each items: @escaping @Sendable (File) -> [(name: String, item: Item)]
    ) {
        let path = setting.key.path.split(separator: ".").map(String.init)
        key = setting.key
        values = { file in
            items(file).map { name, item in Value(setting, item, path.map { $0 == "NAME" ? name : $0 }) }
        }
    }

    /// A mapping from names that the user gives.
    init(mapping key: Key, names: @escaping @Sendable (File) -> [String]) {
        self.key = key
        values = { file in
            [Value(path: [key.path], text: nil, compared: "", comment: nil)]
                + names(file).map { Value(path: [key.path, $0], text: nil, compared: "", comment: nil) }
        }
    }
}

extension Declared.Value {
    init<Owner: SendableMetatype>(_ setting: Setting<Owner>, _ owner: Owner, _ path: [String]) {
        self.init(
            path: path, text: setting.text(owner), compared: setting.compared(owner), comment: setting.comment(owner))
    }
}

extension SettingsGroup {
    /// The group's settings as a whole file has them.
    static func declared<File: SendableMetatype>(in part: any KeyPath<File, Self> & Sendable) -> [Declared<File>] {
        settings.map { Declared($0, in: part) }
    }
}
