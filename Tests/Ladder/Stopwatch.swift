// CPU time of one operation: batches long enough for the clock, many of them, the least disturbed and the middle one.
import Glibc

/// Nanoseconds of one operation.
struct Cost {
    /// Of the least disturbed batch: what the code costs.
    let minimum: Double
    /// Of the batch in the middle: what it costs on this machine at this moment.
    let median: Double

    /// From the nanoseconds per operation of many batches, at least one.
    init(_ batches: [Double]) {
        let sorted = batches.sorted()
        minimum = sorted[0]
        median = sorted[sorted.count / 2]
    }
}

enum Stopwatch {
    private static let batches = 41
    private static let leastBatch: UInt64 = 4_000_000

    /// The clock's reading in nanoseconds.
    static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// CPU time that this thread has used.
    static var threadTime: UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// The cost of what `run` does once when it is called with 1, and n times when with n.
    static func cost<E: Error>(_ run: (Int) throws(E) -> Void) throws(E) -> Cost {
        try timed { (count) throws(E) -> UInt64 in
            let start = threadTime
            try run(count)
            return threadTime - start
        }
    }

    /// The same for what reads a clock itself: `run` gives back the nanoseconds that `count` operations took.
    static func timed<E: Error>(_ run: (Int) throws(E) -> UInt64) throws(E) -> Cost {
        var count = 1
        while try run(count) < leastBatch { count *= 2 }
        var results: [Double] = []
        for _ in 0..<batches { results.append(Double(try run(count)) / Double(count)) }
        return Cost(results)
    }
}
