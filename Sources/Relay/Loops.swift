// The event loops of a daemon, each on a thread of its own: one for every shard, and beside it one for the heavy
// streams among that shard's. A thread that can use all of a processor is the one that waits when there are not
// enough of them; a light stream must not wait with it. A thread that mostly sleeps gets a processor when it wakes.
internal import Synchronization

/// The loops of one daemon, and the doors of the roles on them, by which the roles reach each other.
final class Loops<R: Role>: Sendable {
    /// Those of the light loops in order, then of the heavy ones in the same order: a loop's index is that of its shard.
    let doors: [Door<R>]
    /// Pairs of loops.
    let pairs: Int
    private let away: [Away]
    private let draining = Atomic(0)

    private final class Away: Sendable {
        let carriers = Atomic(0)
    }

    /// `heavy` is empty or as long as `light`.
    init(light: [Mailbox], heavy: [Mailbox] = []) {
        precondition(heavy.isEmpty || heavy.count == light.count, "loops come in pairs")
        doors = (light + heavy).map { Door($0) }
        pairs = light.count
        away = light.map { _ in Away() }
    }

    /// How many there are.
    var count: Int { doors.count }

    /// What the loop with this index is there for.
    func kind(of index: Int) -> LoopKind {
        if count == pairs { return .only }
        return index < pairs ? .light : .heavy
    }

    /// The other loop of the pair.
    func partner(of index: Int) -> Door<R>? {
        kind(of: index) == .only ? nil : doors[(index + pairs) % count]
    }

    /// Runs `letter` on every loop that has not ended.
    func tellAll(_ letter: @escaping @Sendable (R) -> Void) {
        for door in doors { door.send(letter) }
    }

    /// What each pair has of `whole`, rounded up.
    func share(of whole: Int) -> Int { (whole + pairs - 1) / pairs }

    /// Carriers of this pair that are on its heavy loop, or on their way there. They count towards the limits of the
    /// light one.
    func carriersAway(ofPairWith index: Int) -> Int { away[index % pairs].carriers.load(ordering: .relaxed) }

    /// A carrier goes to the heavy loop.
    func goesAway(fromPairWith index: Int) { away[index % pairs].carriers.wrappingAdd(1, ordering: .relaxed) }

    /// A carrier has left the heavy loop.
    func isBack(inPairWith index: Int) { away[index % pairs].carriers.wrappingSubtract(1, ordering: .relaxed) }

    /// A loop begins to drain, and gives no carrier to another from now on. The last one to say so tells all: then
    /// each of them has what it will ever have.
    func beginsDraining() {
        guard draining.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == count else { return }
        tellAll { $0.everybodyDrains() }
    }
}
