// The memory that secrets live in: pages that are locked, absent from core dumps and empty in a
// forked child. `Secret` is its only user.

import CLinux
import Glibc

/// Hands out slots of fixed sizes from locked slabs and takes them back.
///
/// Which slots are free is kept beside the slabs, never inside them. A slab holds secrets and zeros and nothing
/// else, so a slot is all zero whenever it is handed out. Thread-safe; the lock is a pthread mutex because
/// ThreadSanitizer reports false races on `Synchronization.Mutex`.
final class SecretArena: @unchecked Sendable {
    static let shared = SecretArena()

    /// 16 KiB, a multiple of every page size that Linux on x86-64 and most of arm64 uses, holds 128
    /// secrets of 128 bytes. Locked pages are resident from the start, so a slab is kept small.
    static let slabSize = 16384
    static let slotSizes = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]
    /// What lies on either side of a slab: no access at all. Code that reads or writes past its end is stopped
    /// instead of reaching something else, and nothing runs into it from outside.
    private static let guardSize = max(4096, sysconf(Int32(_SC_PAGESIZE)))

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    /// Every slab by the address of its first byte; all of them are aligned to `slabSize`.
    private var slabs: [UInt: Slab] = [:]
    /// Per slot size, the slabs that have a free slot.
    private var open: [[Slab]] = Array(repeating: [], count: slotSizes.count)
    private var unlocked = 0

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// The size of the slot that holds `count` bytes.
    static func capacity(for count: Int) -> Int {
        if let size = slotSizes.first(where: { count <= $0 }) { return size }
        return (count + slabSize - 1) / slabSize * slabSize
    }

    /// A slot of `capacity(for: count)` zero bytes, aligned to its size or to `slabSize`.
    func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        withLock {
            guard let sizeClass = Self.slotSizes.firstIndex(where: { count <= $0 }) else {
                return map(Self.capacity(for: count))
            }
            let slab: Slab
            if let candidate = open[sizeClass].last {
                slab = candidate
            } else {
                slab = Slab(base: map(Self.slabSize), sizeClass: sizeClass)
                slabs[UInt(bitPattern: slab.base)] = slab
                open[sizeClass].append(slab)
            }
            let slot = slab.take()
            if slab.isFull { open[sizeClass].removeLast() }
            return slot
        }
    }

    /// Wipes a slot that `allocate(count)` gave and takes it back.
    func release(_ slot: UnsafeMutableRawPointer, _ count: Int) {
        let capacity = Self.capacity(for: count)
        ow_wipe(slot, capacity)
        withLock {
            guard capacity <= Self.slotSizes.last! else { return unmap(slot, capacity) }
            let base = UInt(bitPattern: slot) & ~UInt(Self.slabSize - 1)
            guard let slab = slabs[base] else { fatalError("a secret's slot is in no slab") }
            if slab.isFull { open[slab.sizeClass].append(slab) }
            slab.put(slot)
            // One empty slab is kept per size. So a secret made and dropped over and over does not map and unmap its
            // page each time.
            guard slab.isEmpty, open[slab.sizeClass].count > 1 else { return }
            open[slab.sizeClass].removeAll { $0 === slab }
            slabs[base] = nil
            unmap(slab.base, Self.slabSize)
        }
    }

    /// Bytes in use that the kernel refused to lock (RLIMIT_MEMLOCK).
    var unlockedBytes: Int { withLock { unlocked } }

    /// Slabs mapped at the moment.
    var slabCount: Int { withLock { slabs.count } }

    private func withLock<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Maps `size` bytes aligned to `slabSize`, between two guards. More than that is reserved, and the rest given
    /// back.
    private func map(_ size: Int) -> UnsafeMutableRawPointer {
        let border = Self.guardSize
        let reserve = size + Self.slabSize + 2 * border
        guard let start = mmap(nil, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            start != MAP_FAILED
        else { fatalError("out of memory for secrets") }
        let head = -Int(bitPattern: start + border) & (Self.slabSize - 1)
        let base = start + border + head
        if head > 0 { munmap(start, head) }
        if Self.slabSize - head > 0 { munmap(base + size + border, Self.slabSize - head) }
        guard mprotect(base, size, PROT_READ | PROT_WRITE) == 0 else { fatalError("out of memory for secrets") }
        madvise(base, size, MADV_DONTDUMP)
        madvise(base, size, MADV_WIPEONFORK)
        if mlock(base, size) != 0 {
            unlocked += size
            unlockedMappings.insert(UInt(bitPattern: base))
        }
        return base
    }

    private func unmap(_ base: UnsafeMutableRawPointer, _ size: Int) {
        munmap(base - Self.guardSize, size + 2 * Self.guardSize)
        if unlockedMappings.remove(UInt(bitPattern: base)) != nil { unlocked -= size }
    }

    private var unlockedMappings: Set<UInt> = []
}

/// One slab: slots of one size and which of them are free.
private final class Slab {
    let base: UnsafeMutableRawPointer
    let sizeClass: Int
    private let slotSize: Int
    private let slotCount: Int
    /// One bit per slot, 1 = free.
    private var free: [UInt64]
    private var used = 0

    var isFull: Bool { used == slotCount }
    var isEmpty: Bool { used == 0 }

    init(base: UnsafeMutableRawPointer, sizeClass: Int) {
        self.base = base
        self.sizeClass = sizeClass
        slotSize = SecretArena.slotSizes[sizeClass]
        slotCount = SecretArena.slabSize / slotSize
        free = Array(repeating: .max, count: (slotCount + 63) / 64)
        if slotCount < 64 { free[0] = (1 << UInt64(slotCount)) - 1 }
    }

    func take() -> UnsafeMutableRawPointer {
        for word in free.indices where free[word] != 0 {
            let bit = free[word].trailingZeroBitCount
            free[word] &= ~(1 << UInt64(bit))
            used += 1
            return base + (word * 64 + bit) * slotSize
        }
        fatalError("a slab without a free slot was taken for an open one")
    }

    func put(_ slot: UnsafeMutableRawPointer) {
        let index = (slot - base) / slotSize
        let bit: UInt64 = 1 << UInt64(index % 64)
        precondition(free[index / 64] & bit == 0, "a secret's slot was given back twice")
        free[index / 64] |= bit
        used -= 1
    }
}
