// The heap of the daemons and of these tests: what is freed is overwritten, and it still is a heap.

import CWipingHeap
import Glibc
import Testing

@Suite("The wiping heap")
struct WipingHeapTests {
    // Blocks of these sizes stay in the freeing thread's own cache, so nobody else writes to them meanwhile. glibc
    // keeps list pointers in the first 32 bytes of a free block.
    static let sizes = [64, 200, 1000]

    /// Bytes of a freed block that still are `pattern`, its first 32 aside.
    private func remains(of pattern: UInt8, at address: UInt, size: Int) -> Int {
        let freed = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: size)
        return freed.dropFirst(32).count { $0 == pattern }
    }

    @Test("free() overwrites the block", arguments: sizes)
    func free(size: Int) {
        #expect(ow_heap_wipes(size))
    }

    @Test("What Swift frees is overwritten too")
    func swiftObjects() {
        var bytes: [UInt8]? = [UInt8](repeating: 0xA5, count: 600)
        let address = bytes.unsafelyUnwrapped.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(remains(of: 0xA5, at: address, size: 600) == 568)
        bytes = nil
        #expect(remains(of: 0xA5, at: address, size: 600) == 0)
    }

    @Test("realloc() keeps the contents and overwrites the place it moves from", arguments: sizes)
    func growing(size: Int) throws {
        let block = try #require(malloc(size))
        memset(block, 0xA5, size)
        let address = UInt(bitPattern: block)
        let moved = try #require(realloc(block, size * 4))
        #expect(UInt(bitPattern: moved) != address)
        #expect(remains(of: 0xA5, at: address, size: size) == 0)
        #expect(UnsafeRawBufferPointer(start: moved, count: size).allSatisfy { $0 == 0xA5 })
        Glibc.free(moved)
    }

    @Test("realloc() to less keeps what fits, in place or not", arguments: [999, 501, 499, 100, 1])
    func shrinking(size: Int) throws {
        let block = try #require(malloc(1000))
        for index in 0..<1000 {
            block.storeBytes(of: UInt8(truncatingIfNeeded: index), toByteOffset: index, as: UInt8.self)
        }
        let less = try #require(realloc(block, size))
        let kept = UnsafeRawBufferPointer(start: less, count: size)
        #expect(kept.indices.allSatisfy { kept[$0] == UInt8(truncatingIfNeeded: $0) })
        Glibc.free(less)
    }

    @Test("realloc() of nothing allocates, and to nothing frees")
    func edges() throws {
        let block = try #require(realloc(nil, 100))
        memset(block, 0xA5, 100)
        let address = UInt(bitPattern: block)
        #expect(realloc(block, 0) == nil)
        #expect(remains(of: 0xA5, at: address, size: 100) == 0)
    }

    @Test("A realloc() that cannot be served leaves the block as it was")
    func exhausted() throws {
        let block = try #require(malloc(100))
        memset(block, 0xA5, 100)
        #expect(realloc(block, Int.max / 2) == nil)
        #expect(errno == ENOMEM)
        #expect(UnsafeRawBufferPointer(start: block, count: 100).allSatisfy { $0 == 0xA5 })
        Glibc.free(block)
    }

    @Test("free() leaves errno alone")
    func errnoKept() {
        let block = malloc(4 << 20)  // large enough for munmap()
        errno = EXDEV
        Glibc.free(block)
        #expect(errno == EXDEV)
    }
}
