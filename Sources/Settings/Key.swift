// What is to know about one key of a configuration, besides the code that reads it. Pure values.

/// What a change of a key needs before it holds, the least first.
package enum Effect: Int, CaseIterable, Comparable, Sendable {
    /// Nobody has to hear of it: whoever uses the value reads it anew.
    case nothing
    /// The loops are told. It holds at once, for what is there already too.
    case live
    /// The loops are told. It holds for what begins from then on.
    case newConnections
    /// The daemon has to be started again.
    case restart

    package static func < (a: Effect, b: Effect) -> Bool { a.rawValue < b.rawValue }

    /// To what a changed value applies, in the words of the reference.
    package var appliesTo: String {
        switch self {
        case .nothing: "the next use"
        case .live: "everything, at once"
        case .newConnections: "new connections"
        case .restart: "the next start"
        }
    }
}

/// One key of a configuration, declared once. Decoding, rendering, advice, the reference and `SettingsChange` come from
/// these declarations.
package struct Key: Equatable, Sendable {
    /// Its dotted name from the top of the file, such as `carriers.rekey.frames`. `NAME` is what the user names.
    package let path: String
    /// What it is, in a sentence of the reference.
    package let meaning: String
    /// The kind of its value and the bounds, in words of the reference; empty if the meaning says all.
    package let limits: String
    /// The default as it is written in a file; nil if the key is required.
    package let standard: String?
    /// What a change of it needs.
    package let change: Effect
    /// What its name was before; such a file is told the new one.
    package let formerly: Former?
    /// What to write if it is missing, for a key that is required.
    let advice: String

    init(
        _ path: String, _ meaning: String, limits: String, standard: String? = nil, change: Effect,
        formerly: Former? = nil, advice: String = ""
    ) {
        self.path = path
        self.meaning = meaning
        self.limits = limits
        self.standard = standard
        self.change = change
        self.formerly = formerly
        self.advice = advice
    }

    /// An earlier name of a key.
    package enum Former: Equatable, Sendable, ExpressibleByStringLiteral {
        /// It is an unknown key now.
        case refused(String)
        /// It is still read, with a warning.
        case read(String)

        package init(stringLiteral name: String) { self = .refused(name) }

        package var name: String {
            switch self {
            case .refused(let name), .read(let name): name
            }
        }
    }

    /// The part of the path that stands in the file before the colon.
    package var name: String { String(components.last ?? "") }

    /// The section it stands in, as a path; empty at the top of the file.
    package var section: String { components.dropLast().joined(separator: ".") }

    private var components: [Substring] { path.split(separator: ".") }
}
