// The known word a mistyped one was probably meant to be. Pure functions.

/// The word nearest to `text`, if it is near enough to be a likely slip: at most one edit in three characters, or
/// the beginning of one word alone.
func nearest(to text: String, among words: some Sequence<String>) -> String? {
    let typed = Array(text.lowercased().unicodeScalars)
    guard (1...64).contains(typed.count) else { return nil }
    var best: (word: String, distance: Int)?
    for word in words {
        let scalars = Array(word.lowercased().unicodeScalars)
        let allowed = max(1, min(typed.count, scalars.count) / 3)
        guard abs(scalars.count - typed.count) <= allowed else { continue }
        let distance = editDistance(typed, scalars)
        if distance <= allowed, distance < best?.distance ?? .max {
            best = (word, distance)
        }
    }
    if let best { return best.word }
    let longer = words.filter { typed.count >= 3 && $0.lowercased().unicodeScalars.starts(with: typed) }
    return longer.count == 1 ? longer.first : nil
}

/// How many insertions, deletions, substitutions and swaps of neighbours turn `a` into `b`
/// (optimal string alignment distance).
func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var distance = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                distance = min(distance, beforeLast[j - 1] + 1)
            }
            row.append(distance)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
