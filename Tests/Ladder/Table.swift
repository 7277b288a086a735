// What was measured, as a table: each line with its difference to the rung below.

/// One line of the ladder.
struct Line {
    let rung: String
    let what: String
    /// What one operation is.
    let per: String
    /// Nanoseconds for one.
    let cost: Cost
    /// The line it stands on, by its `what`; nil for the lowest.
    let below: String?
    /// A second way to say it, for example GB/s.
    let note: String

    init(_ rung: String, _ what: String, per: String, _ cost: Cost, below: String? = nil, note: String = "") {
        self.rung = rung
        self.what = what
        self.per = per
        self.cost = cost
        self.below = below
        self.note = note
    }
}

/// All lines, in the order they were measured.
struct Table {
    private(set) var lines: [Line] = []

    mutating func add(_ line: Line) { lines.append(line) }

    /// The difference of the minima to the line below; nil if that was not measured.
    private func difference(_ line: Line) -> Double? {
        guard let below = lines.first(where: { $0.what == line.below }) else { return nil }
        return line.cost.minimum - below.cost.minimum
    }

    var markdown: String {
        var rows = [["rung", "what", "per", "ns, minimum", "ns, median", "difference", "to", ""]]
        for line in lines {
            let difference = difference(line)
            rows.append([
                line.rung, line.what, line.per, number(line.cost.minimum), number(line.cost.median),
                difference.map { ($0 < 0 ? "" : "+") + number($0) } ?? "–", difference == nil ? "" : line.below ?? "",
                line.note,
            ])
        }
        let widths = (0..<rows[0].count).map { column in rows.map { $0[column].count }.max() ?? 0 }
        rows.insert(widths.map { String(repeating: "-", count: max(3, $0)) }, at: 1)
        return rows.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: max(0, max(3, $1) - $0.count)) }
            return "| " + cells.joined(separator: " | ") + " |"
        }.joined(separator: "\n")
    }

    var json: String {
        let objects = lines.map { line in
            let difference = difference(line).map { "\($0)" } ?? "null"
            return "  {\"rung\": \"\(line.rung)\", \"what\": \"\(line.what)\", \"per\": \"\(line.per)\", "
                + "\"minimum\": \(line.cost.minimum), \"median\": \(line.cost.median), \"difference\": \(difference), "
                + "\"to\": \(line.below.map { "\"\($0)\"" } ?? "null"), \"note\": \"\(line.note)\"}"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]"
    }
}

/// Three digits or so: 0.123, 1.23, 12.3, 1234.
func number(_ value: Double) -> String {
    let size = abs(value)
    let decimals = size < 1 ? 1000.0 : size < 10 ? 100.0 : size < 100 ? 10.0 : 1.0
    let rounded = (value * decimals).rounded() / decimals
    return decimals == 1 ? "\(Int(rounded))" : "\(rounded)"
}

/// Bytes per nanosecond are GB per second.
func throughput(_ bytes: Int, _ cost: Cost) -> String { "\(number(Double(bytes) / cost.minimum)) GB/s" }

/// 16 B, 1 KiB, 64 KiB.
func sizeName(_ size: Int) -> String { size < 1024 ? "\(size) B" : "\(size / 1024) KiB" }
