// What libyaml says about broken YAML, with advice for the slips people make most. Pure functions.

enum SyntaxComplaint {
    /// The error in words, and what to do about it.
    static func about(_ error: YAMLSyntaxError, in source: SourceText) -> Complaint {
        var message = "this is not valid YAML: \(error.problem)"
        if !error.context.isEmpty {
            message += ", \(error.context)"
            if let start = error.contextMark, start != error.mark {
                message += " that starts at \(start.line):\(start.column)"
            }
        }
        return Complaint(message, advice(error, line: Array(source.line(error.mark.line).unicodeScalars)))
    }

    private static func advice(_ error: YAMLSyntaxError, line: [Unicode.Scalar]) -> String {
        let character = line.indices.contains(error.mark.column - 1) ? line[error.mark.column - 1] : " "
        if character == "\t" || line.prefix(while: { $0 == " " || $0 == "\t" }).contains("\t") {
            return "replace the tab by spaces"
        }
        if "@`%*&!".unicodeScalars.contains(character) || error.context.contains("alias") {
            return "put text that begins with \(character == " " ? "*" : String(character)) in quotes"
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
}
