// Which streams of a conversation have begun, so that one whose carrier fell silent can be opened anew, and nothing
// ever reaches a target twice.

/// The stream numbers of one conversation that the server has seen. Bounded: of numbers far below the highest it knows
/// no more than that they are old.
struct BegunStreams {
    /// A bit for each number in `low..<low + capacity`, at its place modulo the capacity.
    private var bits: [UInt64] = []
    private var low: UInt64 = 0
    private var withdrawn: Set<UInt64> = []
    /// A number up to this one may have been withdrawn; which, is not known any more.
    private var forgotten: UInt64 = 0

    /// Numbers that are told apart: some seconds' worth of the fastest client's.
    static let most = 1 << 15
    /// How far below the first number that came others may follow.
    static let disorder: UInt64 = 1024
    /// Withdrawn numbers that are remembered one by one.
    static let mostWithdrawn = 1 << 8

    private var capacity: UInt64 { UInt64(bits.count) * 64 }

    /// Notes that the stream `number` begins. False if it was withdrawn, or may have been.
    mutating func begin(_ number: UInt64) -> Bool {
        guard number > forgotten, withdrawn.isEmpty || !withdrawn.contains(number) else { return false }
        if bits.isEmpty {
            // Nothing has begun yet, but numbers a little below may come by another carrier.
            bits = [0]
            low = (number & ~63) - min(number & ~63, Self.disorder)
        }
        guard number >= low else { return true }
        while number - low >= capacity, bits.count * 64 < Self.most { grow() }
        if number - low >= capacity { slide(to: number) }
        bits[place(number)] |= 1 << (number & 63)
        return true
    }

    /// Gives up the stream `number`: from now on it cannot begin. False if it has begun, or is too old to tell.
    mutating func withdraw(_ number: UInt64) -> Bool {
        guard !hasBegun(number) else { return false }
        if withdrawn.insert(number).inserted, withdrawn.count > Self.mostWithdrawn { forgetSome() }
        return true
    }

    private func hasBegun(_ number: UInt64) -> Bool {
        guard !bits.isEmpty else { return false }
        guard number >= low else { return true }
        return number - low < capacity && bits[place(number)] & 1 << (number & 63) != 0
    }

    private func place(_ number: UInt64) -> Int { Int(number / 64 % UInt64(bits.count)) }

    /// Twice as many, at their new places.
    private mutating func grow() {
        var wider = [UInt64](repeating: 0, count: bits.count * 2)
        for index in 0..<UInt64(bits.count) {
            let word = low / 64 + index
            wider[Int(word % UInt64(wider.count))] = bits[Int(word % UInt64(bits.count))]
        }
        bits = wider
    }

    /// Makes room for `number` above, and forgets as many below.
    private mutating func slide(to number: UInt64) {
        let target = (number & ~63) - (capacity - 64)
        let words = (target - low) / 64
        for index in 0..<min(words, UInt64(bits.count)) { bits[Int((low / 64 + index) % UInt64(bits.count))] = 0 }
        low = target
    }

    private mutating func forgetSome() {
        let old = withdrawn.sorted().prefix(Self.mostWithdrawn / 2)
        forgotten = max(forgotten, old.last ?? 0)
        withdrawn.subtract(old)
    }
}
