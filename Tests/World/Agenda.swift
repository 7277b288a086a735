// What is to happen when, in order.

/// A heap of moments and what is to be done then. What was noted first goes first at one moment.
struct Agenda {
    private struct Entry {
        let time: UInt64
        let order: Int
        let act: () -> Void

        func isBefore(_ other: Entry) -> Bool { time != other.time ? time < other.time : order < other.order }
    }
    private var entries: [Entry] = []
    private var orders = 0

    /// The first moment; nil if there is nothing to do.
    var next: UInt64? { entries.first?.time }

    mutating func note(at time: UInt64, _ act: @escaping () -> Void) {
        orders += 1
        entries.append(Entry(time: time, order: orders, act: act))
        var place = entries.count - 1
        while place > 0, entries[place].isBefore(entries[(place - 1) / 2]) {
            entries.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// The first act; there must be one.
    mutating func removeFirst() -> () -> Void {
        entries.swapAt(0, entries.count - 1)
        let first = entries.removeLast()
        var place = 0
        while true {
            var child = 2 * place + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1].isBefore(entries[child]) { child += 1 }
            guard entries[child].isBefore(entries[place]) else { break }
            entries.swapAt(place, child)
            place = child
        }
        return first.act
    }
}
