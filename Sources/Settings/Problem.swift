// What is wrong with a configuration, where, and what to do about it. Pure values.

/// A place in a file. Both numbers count from 1; columns count characters, not bytes.
struct Mark: Hashable, Comparable, Sendable {
    let line: Int
    let column: Int

    static func < (a: Mark, b: Mark) -> Bool {
        (a.line, a.column) < (b.line, b.column)
    }
}

/// One thing that is wrong in a configuration file, or that is allowed and perhaps not meant.
package struct Problem: Hashable, Sendable, CustomStringConvertible {
    /// How much it matters; the raw values are the words of messages.
    package enum Severity: String, Sendable {
        /// The configuration cannot be used.
        case error
        /// It can, and may do what nobody wants.
        case warning
    }

    package let severity: Severity
    /// The file as it was named on the command line.
    package let file: String
    /// Line, counted from 1; 0 when the problem is the file as a whole, such as one that cannot be read.
    package let line: Int
    /// Column in characters, counted from 1; 0 together with `line`.
    package let column: Int
    /// What is wrong, one line without a full stop.
    package let message: String
    /// What to do about it, one line without a full stop; nil if `message` says it.
    package let hint: String?

    /// `file:line:column: error: what (what to do)`, or `file: error: what (what to do)`; `warning` likewise.
    package var description: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        return "\(place): \(severity.rawValue): \(message)" + (hint.map { " (\($0))" } ?? "")
    }
}

/// A configuration that cannot be used: everything that is wrong with it, at once.
package struct SettingsFailure: Error, Equatable, CustomStringConvertible {
    /// At least one problem, in the order of the file.
    package let problems: [Problem]
    /// How many further problems were found and not kept, because a file this wrong is no configuration.
    package let omitted: Int

    /// One problem a line.
    package var description: String {
        var lines = problems.map(\.description)
        if omitted > 0 {
            lines.append(
                "\(problems.first?.file ?? ""): error: \(omitted) more problems are not shown (repair these first)")
        }
        return lines.joined(separator: "\n")
    }
}

/// What is wrong with one piece of text, said by the code that parses such text and knows no files.
package struct Complaint: Error, Equatable, Sendable {
    /// What is wrong.
    package let message: String
    /// What to do about it.
    package let hint: String

    init(_ message: String, _ hint: String) {
        self.message = message
        self.hint = hint
    }
}

/// The problems found so far in one file.
final class Findings {
    /// A file with more problems than this is not read by anyone to the end.
    private static let most = 100

    let file: String
    private var kept: [Problem] = []
    /// What is allowed and perhaps not meant, in the order it was found.
    private(set) var warnings: [Problem] = []
    private var omitted = 0

    init(file: String) {
        self.file = file
    }

    var isEmpty: Bool { kept.isEmpty }

    /// How many problems were found.
    var count: Int { kept.count + omitted }

    /// True if further problems are only counted, so that work on their wording is wasted.
    var isFull: Bool { kept.count >= Self.most }

    /// Notes a problem; `mark` nil means the file as a whole. The texts are made only if the problem is kept.
    func report(_ mark: Mark?, _ message: @autoclosure () -> String, _ hint: @autoclosure () -> String?) {
        guard !isFull else {
            omitted += 1
            return
        }
        kept.append(problem(.error, mark, message(), hint()))
    }

    /// Notes something that does not keep the configuration from being used.
    func warn(_ mark: Mark?, _ message: @autoclosure () -> String, _ hint: @autoclosure () -> String?) {
        guard warnings.count < Self.most else { return }
        warnings.append(problem(.warning, mark, message(), hint()))
    }

    private func problem(_ severity: Problem.Severity, _ mark: Mark?, _ message: String, _ hint: String?) -> Problem {
        Problem(
            severity: severity, file: file, line: mark?.line ?? 0, column: mark?.column ?? 0, message: message,
            hint: hint)
    }

    func report(_ mark: Mark?, _ complaint: Complaint) {
        report(mark, complaint.message, complaint.hint)
    }

    /// Everything found, in the order of the file.
    var failure: SettingsFailure {
        // Sorting by (place, order found) keeps two problems of one place in the order they were found.
        let sorted = kept.enumerated().sorted { a, b in
            (a.element.line, a.element.column, a.offset) < (b.element.line, b.element.column, b.offset)
        }
        return SettingsFailure(problems: sorted.map(\.element), omitted: omitted)
    }
}
