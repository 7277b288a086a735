// Deadlines of one shard: a binary heap that epoll_wait's time-out is read from. A timer knows its place,
// so that cancelling takes it out: with 5 s to connect to a target and thousands of new connections a
// second, the dead would outnumber the living by far.

/// Something that a timer wakes.
protocol Sleeper: AnyObject {
    /// The deadline armed as `timer` has passed.
    func wake(_ timer: Timer, now: Nanoseconds)
}

/// One armed deadline. Keep it to cancel it; dropping it does not cancel, and it holds its sleeper until it
/// has fired or is cancelled. (A weak reference would make every later retain of the sleeper a slow one.)
final class Timer {
    fileprivate(set) var sleeper: (any Sleeper)?
    /// The heap it waits in. Never dangling: set while it is in the heap only, and the heap's end clears it.
    fileprivate unowned(unsafe) var timers: Timers?
    fileprivate var place = 0

    fileprivate init(_ sleeper: any Sleeper) { self.sleeper = sleeper }

    /// The sleeper will not be woken by this timer any more.
    func cancel() {
        sleeper = nil
        timers?.remove(self)
    }

    /// Wakes the sleeper, for the only time.
    func fire(now: Nanoseconds) {
        guard let sleeper else { return }
        self.sleeper = nil
        sleeper.wake(self, now: now)
    }
}

/// The deadlines of one shard.
final class Timers {
    private struct Entry {
        let deadline: Nanoseconds
        let order: UInt64
        let timer: Unmanaged<Timer>

        func isBefore(_ other: Entry) -> Bool { (deadline, order) < (other.deadline, other.order) }
    }

    /// A heap by deadline, the earliest first; each timer in it is retained once.
    private var heap: UnsafeMutablePointer<Entry>
    private var capacity = 64
    private var count = 0
    private var order: UInt64 = 0

    init() { heap = .allocate(capacity: capacity) }

    deinit {
        removeAll()
        heap.deallocate()
    }

    /// The earliest deadline.
    var next: Nanoseconds? { count > 0 ? heap[0].deadline : nil }

    /// Wakes `sleeper` once, at `deadline` or soon after.
    func arm(_ sleeper: any Sleeper, at deadline: Nanoseconds) -> Timer {
        let timer = Timer(sleeper)
        timer.timers = self
        order += 1
        if count == capacity { grow() }
        count += 1
        rise(Entry(deadline: deadline, order: order, timer: .passRetained(timer)), from: count - 1)
        return timer
    }

    /// The next timer whose deadline is not after `now`, taken out of the heap.
    func popDue(now: Nanoseconds) -> Timer? {
        guard count > 0, heap[0].deadline <= now else { return nil }
        let timer = heap[0].timer.takeUnretainedValue()
        remove(timer)
        return timer
    }

    /// Cancels all timers: the shard's life is over.
    func removeAll() {
        while count > 0 { heap[0].timer.takeUnretainedValue().cancel() }
    }

    /// Takes `timer`, which is in this heap, out of it.
    fileprivate func remove(_ timer: Timer) {
        let place = timer.place
        let removed = heap[place].timer
        count -= 1
        if place < count {
            let last = heap[count]
            if place > 0, last.isBefore(heap[(place - 1) / 2]) {
                rise(last, from: place)
            } else {
                sink(last, from: place)
            }
        }
        timer.timers = nil
        removed.release()
    }

    private func put(_ entry: Entry, at place: Int) {
        heap[place] = entry
        entry.timer._withUnsafeGuaranteedRef { $0.place = place }
    }

    private func rise(_ entry: Entry, from start: Int) {
        var place = start
        while place > 0, entry.isBefore(heap[(place - 1) / 2]) {
            put(heap[(place - 1) / 2], at: place)
            place = (place - 1) / 2
        }
        put(entry, at: place)
    }

    private func sink(_ entry: Entry, from start: Int) {
        var place = start
        while true {
            var child = 2 * place + 1
            if child + 1 < count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard child < count, heap[child].isBefore(entry) else { break }
            put(heap[child], at: place)
            place = child
        }
        put(entry, at: place)
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: heap, count: count)
        heap.deallocate()
        heap = larger
        capacity *= 2
    }
}
