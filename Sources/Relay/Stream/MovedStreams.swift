// Which streams of a shared carrier have gone to carriers of their own. All that was counted has come before they went,
// so that bytes which come for one of them later break the protocol.

/// The numbers of the last streams that moved away. Bounded: of one that went long ago nothing comes any more.
struct MovedStreams {
    private var numbers: Set<UInt64> = []
    private var order: [UInt64] = []
    private var oldest = 0

    /// How many are remembered.
    static let most = 256

    func contains(_ number: UInt64) -> Bool { !numbers.isEmpty && numbers.contains(number) }

    /// `number` has moved away; with it the one that went `most` streams before is forgotten.
    mutating func add(_ number: UInt64) {
        guard numbers.insert(number).inserted else { return }
        guard order.count == Self.most else { return order.append(number) }
        numbers.remove(order[oldest])
        order[oldest] = number
        oldest = (oldest + 1) % Self.most
    }
}
