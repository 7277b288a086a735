// Buffers for frames in flight: big enough for four full frames and some small ones, lent to a pipe
// only while it has bytes to move, so that an idle connection holds none.
internal import Glibc
internal import Wire

/// The numbers of a region. (Computed, because a constant made of another module's is looked up behind a lock.)
enum RegionSize {
    /// A full frame: header, 64 KiB, tag.
    static var fullFrame: Int { FrameHeader.maxFrame }
    /// Full frames read, encoded and sent with one system call each.
    static var frames: Int { 4 }
    /// What one read of a carrier takes at most: then a sender that writes four full frames at a time
    /// and a receiver that reads as much stay in step, and no partial frame has to be moved.
    static var receive: Int { frames * fullFrame }
    /// Room for control frames in front of data.
    static var control: Int { 2048 }
    static var bytes: Int { (receive + control + 4095) / 4096 * 4096 }
}

/// The regions of one shard: last returned, first lent, so that the same few stay in the cache.
final class RegionPool {
    /// The first `count` places hold the regions that are kept.
    private let free: UnsafeMutablePointer<UnsafeMutableRawPointer> = .allocate(capacity: kept)
    private var count = 0
    /// Regions kept for reuse; what is returned beyond that goes back to the kernel.
    private static let kept = 16
    /// Regions lent out now.
    private(set) var lent = 0

    deinit {
        for index in 0..<count { munmap(free[index], RegionSize.bytes) }
        free.deallocate()
    }

    /// A region of `RegionSize.bytes`; nil when the kernel has no memory.
    func take() -> UnsafeMutableRawPointer? {
        if count > 0 {
            count -= 1
            lent += 1
            return free[count]
        }
        let region = mmap(
            nil, RegionSize.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let region, region != MAP_FAILED else { return nil }
        lent += 1
        return region
    }

    /// A region that was lent here has gone to another loop's pool.
    func givenAway() { lent -= 1 }

    /// A region that was lent elsewhere comes back here.
    func received() { lent += 1 }

    /// Gives a region that belongs to no pool any more back to the kernel.
    static func discard(_ region: UnsafeMutableRawPointer) { munmap(region, RegionSize.bytes) }

    /// Gives a region back.
    func put(_ region: UnsafeMutableRawPointer) {
        lent -= 1
        if count < Self.kept {
            free[count] = region
            count += 1
        } else {
            munmap(region, RegionSize.bytes)
        }
    }
}
