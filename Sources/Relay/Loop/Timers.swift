// Deadlines of one shard: a heap that epoll_wait's time-out is read from. A cancelled timer stays in
// the heap until its time comes, and then finds nobody waiting.
internal import HeapModule

/// Something that a timer wakes.
protocol Sleeper: AnyObject {
    /// The deadline armed as `timer` has passed.
    func wake(_ timer: Timer, now: Nanoseconds)
}

/// One armed deadline. Keep it to cancel it; dropping it does not cancel.
final class Timer {
    fileprivate(set) weak var sleeper: (any Sleeper)?

    fileprivate init(_ sleeper: any Sleeper) { self.sleeper = sleeper }

    /// The sleeper will not be woken by this timer any more.
    func cancel() { sleeper = nil }
}

/// The deadlines of one shard.
struct Timers {
    private struct Entry: Comparable {
        let deadline: Nanoseconds
        let order: UInt64
        let timer: Timer

        static func < (a: Entry, b: Entry) -> Bool { (a.deadline, a.order) < (b.deadline, b.order) }
        static func == (a: Entry, b: Entry) -> Bool { a.order == b.order }
    }

    private var heap = Heap<Entry>()
    private var order: UInt64 = 0

    /// The earliest deadline, live or cancelled.
    var next: Nanoseconds? { heap.min?.deadline }

    /// Wakes `sleeper` once, at `deadline` or soon after.
    mutating func arm(_ sleeper: any Sleeper, at deadline: Nanoseconds) -> Timer {
        let timer = Timer(sleeper)
        order += 1
        heap.insert(Entry(deadline: deadline, order: order, timer: timer))
        return timer
    }

    /// The next timer whose deadline is not after `now`, taken out of the heap.
    mutating func popDue(now: Nanoseconds) -> Timer? {
        while let first = heap.min, first.deadline <= now {
            heap.removeMin()
            if first.timer.sleeper != nil { return first.timer }
        }
        return nil
    }
}
