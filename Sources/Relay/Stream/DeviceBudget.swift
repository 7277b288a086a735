// What one device may have of a server at one time, on all loops together: streams, and bytes that wait for targets
// that do not take them. Without it one device could fill the memory that all of them share.
internal import Settings
internal import Synchronization

/// One device's. Shared by the loops.
final class DeviceBudget: Sendable {
    private let streams = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)
    private let mostStreams: Atomic<Int>
    private let mostBytes: Atomic<Int>

    init(_ limits: DeviceLimits) {
        mostStreams = Atomic(limits.streams)
        mostBytes = Atomic(limits.backlog)
    }

    /// Other limits hold from now on. What the device has above them it keeps.
    func limit(to limits: DeviceLimits) {
        mostStreams.store(limits.streams, ordering: .relaxed)
        mostBytes.store(limits.backlog, ordering: .relaxed)
    }

    /// Why the device may have no further stream now; nil if it may.
    var refusal: String? {
        if streams.load(ordering: .relaxed) >= mostStreams.load(ordering: .relaxed) {
            return "limits.streams-per-device is reached"
        }
        return bytes.load(ordering: .relaxed) >= mostBytes.load(ordering: .relaxed) ? Self.backlogIsFull : nil
    }

    /// What the log says when bytes are refused.
    static var backlogIsFull: String { StreamFault.backlogIsFull.description }

    /// Streams and bytes of the device at the moment, for tests.
    var used: (streams: Int, bytes: Int) {
        (streams.load(ordering: .relaxed), bytes.load(ordering: .relaxed))
    }

    fileprivate func add(streams count: Int) { streams.wrappingAdd(count, ordering: .relaxed) }

    /// Changes what waits by `count`. False, and nothing changed, if that would be more than there may be.
    fileprivate func add(bytes count: Int) -> Bool {
        let sum = bytes.wrappingAdd(count, ordering: .relaxed).newValue
        guard count > 0, sum > mostBytes.load(ordering: .relaxed) else { return true }
        bytes.wrappingSubtract(count, ordering: .relaxed)
        return false
    }
}

/// One stream's part of its device's budget: given back when nobody holds it any more. It goes where the stream and the
/// bytes that wait for its target go, and has one owner at a time.
final class StreamPlace {
    private let budget: DeviceBudget
    private var held = 0

    init(_ budget: DeviceBudget) {
        self.budget = budget
        budget.add(streams: 1)
    }

    deinit {
        budget.add(streams: -1)
        _ = budget.add(bytes: -held)
    }

    /// The stream's waiting bytes take up `count` bytes of memory from now on. False, and nothing noted, if the device
    /// may not have so much.
    @discardableResult func holds(_ count: Int) -> Bool {
        guard count != held else { return true }
        guard budget.add(bytes: count - held) else { return false }
        held = count
        return true
    }
}
