// Heavy streams that wait for a carrier of their own.
internal import DequeModule

/// Those of one loop, first come, first served.
struct HeavyQueue {
    private var streams: Deque<SharedStream> = []

    var count: Int { streams.count }

    /// `stream` waits from now on.
    mutating func enter(_ stream: SharedStream) {
        guard !stream.isQueued else { return }
        stream.isQueued = true
        streams.append(stream)
    }

    /// The next one that still wants a carrier of its own.
    mutating func next() -> SharedStream? {
        while let stream = streams.popFirst() {
            stream.isQueued = false
            if stream.mayMove { return stream }
        }
        return nil
    }

    /// Lets go of those that want none any more.
    mutating func forgetTheRest() {
        streams.removeAll { stream in
            if !stream.mayMove { stream.isQueued = false }
            return !stream.mayMove
        }
    }

    /// Lets go of all of them: each holds its carrier, and that its loop.
    mutating func removeAll() { streams.removeAll() }
}
