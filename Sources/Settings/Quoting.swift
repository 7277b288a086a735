// How text of a configuration file may appear in a message. Pure functions.

/// The text in double quotes, safe for a terminal and a log: one line, no control characters, at most 60
/// characters. A key that strayed into a configuration is never repeated, lest it be a private one.
func quoted(_ text: String) -> String {
    guard !looksLikeKey(text) else { return "a key (not shown)" }
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

/// True if the text contains what may be a key of either kind: the prefix of a private one, or a run of as many
/// base32 characters as a key has, in any case. No path, name or address of a sane configuration does.
func looksLikeKey(_ text: String) -> Bool {
    // Compared as bytes: a combining character behind the prefix must not hide it.
    let prefix = Array("owkey-".utf8)
    var matched = 0
    var run = 0
    for byte in text.utf8 {
        let lower = (0x41...0x5A).contains(byte) ? byte + 0x20 : byte
        matched = lower == prefix[matched] ? matched + 1 : (lower == prefix[0] ? 1 : 0)
        run = (0x61...0x7A).contains(lower) || (0x32...0x37).contains(lower) ? run + 1 : 0
        if matched == prefix.count || run == 56 { return true }
    }
    return false
}

/// True if the text contains a character that can have no honest purpose in a value: NUL, newline, tab, escape, …
func hasControlCharacter(_ text: String) -> Bool {
    text.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
}
