// What libyaml says about broken YAML, with advice for the slips people make most. Pure functions.

enum SyntaxComplaint {
    /// The error in words, where it is, and what to do about it.
    static func about(_ error: YAMLSyntaxError, in source: SourceText) -> (mark: Mark, complaint: Complaint) {
        if error.context.contains("alias"), let start = error.contextMark {
            return (start, aboutStar(Array(source.line(start.line).unicodeScalars.dropFirst(start.column - 1))))
        }
        var message = "this is not valid YAML: \(error.problem)"
        if !error.context.isEmpty {
            message += ", \(error.context)"
            if let start = error.contextMark, start != error.mark {
                message += " that starts at \(start.line):\(start.column)"
            }
        }
        return (
            error.mark, Complaint(message, advice(error, line: Array(source.line(error.mark.line).unicodeScalars)))
        )
    }

    private static func advice(_ error: YAMLSyntaxError, line: [Unicode.Scalar]) -> String {
        let character = line.indices.contains(error.mark.column - 1) ? line[error.mark.column - 1] : " "
        if character == "\t" || line.prefix(while: { $0 == " " || $0 == "\t" }).contains("\t") {
            return "replace the tab by spaces"
        }
        if "@`%*&!".unicodeScalars.contains(character) {
            return "put text that begins with \(String(character)) in quotes"
        }
        if zip(line, line.dropFirst()).contains(where: { $0 == "]" && $1 == ":" }) {
            return "put an address with brackets in quotes: \"[::1]:7700\""
        }
        if error.problem.contains("end of stream") {
            return "close the quote or bracket that was opened there"
        }
        if error.problem.contains("could not find expected ':'") {
            return "write KEY: VALUE, with a space after the colon"
        }
        if error.problem.contains("',' or") {
            return "separate the values with commas and close the bracket"
        }
        if error.problem.contains("mapping values are not allowed") {
            return "check the indentation, and put text that contains \": \" in quotes"
        }
        if error.problem.contains("escape") {
            return "write \\\\ for a backslash, or use single quotes"
        }
        return "check the indentation and the quotes on this line and the one before"
    }

    /// `*:7700` is not even an address, and `*` no wildcard: quotes around them would only lead to the next error.
    private static func aboutStar(_ text: [Unicode.Scalar]) -> Complaint {
        let digits = text.dropFirst(2).prefix { ("0"..."9").contains($0) }
        if text.count > 1, text[1] == ":", !digits.isEmpty {
            let port = String(String.UnicodeScalarView(digits))
            return Complaint("*:\(port) is not an address, and * means something else in YAML", Address.withHost(port))
        }
        return Complaint(
            "* is not a name, and means something else in YAML",
            "there is no wildcard: list the names one by one, and put other text that begins with * in quotes")
    }
}
