// Accepted, idle carriers of one shard, last used first, and how many of them are worth keeping.
internal import Settings

/// The idle carriers of one shard.
struct CarrierPool {
    /// Carriers opened ahead of need when nothing is going on.
    private(set) var floor: Int
    /// Idle carriers kept at most.
    private(set) var cap: Int
    private var idle: [Carrier] = []
    /// The fewest that were idle at once since the last trim: what nobody needed.
    private var lowWater = 0

    init(_ settings: PoolSettings) { self.init(floor: settings.floor, cap: settings.cap) }

    init(floor: Int, cap: Int) {
        self.floor = floor
        self.cap = cap
    }

    /// Keeps so many from now on. Returns those that are too many, the longest unused first, which are out of the pool.
    mutating func resize(floor: Int, cap: Int) -> [Carrier] {
        (self.floor, self.cap) = (floor, cap)
        let surplus = Array(idle.prefix(max(0, idle.count - cap)))
        idle.removeFirst(surplus.count)
        lowWater = min(lowWater, idle.count)
        return surplus
    }

    var count: Int { idle.count }

    /// All of them, the one used last at the end.
    var all: [Carrier] { idle }

    /// The carrier used last, whose congestion window and keys are warm.
    mutating func take() -> Carrier? {
        let carrier = idle.popLast()
        lowWater = min(lowWater, idle.count)
        return carrier
    }

    /// Keeps `carrier`; false if there are enough.
    mutating func put(_ carrier: Carrier) -> Bool {
        guard idle.count < cap else { return false }
        idle.append(carrier)
        return true
    }

    func has(_ carrier: Carrier) -> Bool { idle.contains { $0 === carrier } }

    mutating func remove(_ carrier: Carrier) {
        guard let index = idle.lastIndex(where: { $0 === carrier }) else { return }
        idle.remove(at: index)
        lowWater = min(lowWater, idle.count)
    }

    /// Half of the carriers that were never needed since the last trim, the longest unused first. What
    /// the pool keeps follows the rate of new connections down slowly, and up at once.
    mutating func trim() -> [Carrier] {
        let surplus = max(0, lowWater - floor)
        let trimmed = Array(idle.prefix((surplus + 1) / 2))
        idle.removeFirst(trimmed.count)
        lowWater = idle.count
        return trimmed
    }

    /// All of them, taken out.
    mutating func takeAll() -> [Carrier] {
        defer {
            idle = []
            lowWater = 0
        }
        return idle
    }
}
