// Plaintext of one stream that its application has not taken yet. It belongs to the stream and not to the carrier,
// which goes on carrying the others.
internal import Glibc

/// Bytes in order: added at one end, taken at the other. Holds no memory while it is empty.
struct Backlog: ~Copyable {
    private var memory: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0

    private static let smallest = 2048

    init() {}

    deinit { free(memory) }

    /// Bytes that wait.
    var count: Int { end - start }
    var isEmpty: Bool { start == end }
    /// Bytes of memory that `more` bytes besides those that wait would take up.
    func size(with more: Int) -> Int {
        count + more <= capacity ? capacity : Self.capacity(from: capacity, for: count + more)
    }
    /// The first of `count` bytes. Valid until bytes are added or taken; not to be asked for when there are none.
    var first: UnsafeMutableRawPointer { memory! + start }

    /// Adds `count` bytes from `bytes`. False, and nothing added, when there is no memory.
    mutating func append(_ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        guard makeRoom(count) else { return false }
        (memory! + end).copyMemory(from: bytes, byteCount: count)
        end += count
        return true
    }

    /// Forgets the first `count` bytes.
    mutating func removeFirst(_ count: Int) {
        start += count
        if start == end { self = Backlog() }
    }

    private static func capacity(from capacity: Int, for count: Int) -> Int {
        var larger = max(capacity, smallest)
        while larger < count { larger *= 2 }
        return larger
    }

    private mutating func makeRoom(_ more: Int) -> Bool {
        if end + more <= capacity { return true }
        if let memory, start > 0 {
            memmove(memory, memory + start, count)
            end -= start
            start = 0
        }
        guard end + more > capacity else { return true }
        let larger = Self.capacity(from: capacity, for: end + more)
        // Not realloc(3), which may give the old block back without it being wiped.
        guard let grown = malloc(larger) else { return false }
        if let memory { grown.copyMemory(from: memory, byteCount: end) }
        free(memory)
        memory = grown
        capacity = larger
        return true
    }
}
