// How text of a configuration file may appear in a message. Pure functions.

/// The text in double quotes, safe for a terminal and a log: one line, no control characters, at most 60
/// characters. A private key that strayed into a configuration is never repeated.
func quoted(_ text: String) -> String {
    guard !looksLikePrivateKey(text) else { return "a private key (not shown)" }
    var shown = ""
    for scalar in text.unicodeScalars.prefix(60) {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            shown += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            shown.unicodeScalars.append(scalar)
        }
    }
    if text.unicodeScalars.count > 60 { shown += "…" }
    return "\"\(shown)\""
}

/// True if the text contains the prefix of an identity's private half, in any case.
func looksLikePrivateKey(_ text: String) -> Bool {
    // Compared as bytes: a combining character behind the prefix must not hide it.
    let prefix = Array("owkey-".utf8)
    let bytes = text.utf8.map { ($0 >= 0x41 && $0 <= 0x5A) ? $0 + 0x20 : $0 }
    guard bytes.count >= prefix.count else { return false }
    return (0...(bytes.count - prefix.count)).contains { bytes[$0..<($0 + prefix.count)].elementsEqual(prefix) }
}

/// True if the text contains a character that can have no honest purpose in a value: NUL, newline, tab, escape, …
func hasControlCharacter(_ text: String) -> Bool {
    text.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
}
