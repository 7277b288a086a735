import Testing
import Wire

@testable import Relay

@Suite struct RegionPoolTests {
    @Test("A region holds four full frames with control frames in front, and the vectors behind what is received")
    func sizes() {
        #expect(RegionSize.fullFrame == FrameHeader.maxFrame)
        #expect(RegionSize.bytes >= RegionSize.frames * FrameHeader.maxFrame + RegionSize.control)
        #expect(RegionSize.bytes - RegionSize.receive >= 16 * 16)
        #expect(RegionSize.bytes % 4096 == 0)
    }

    @Test("Regions in use are distinct, writable to their last byte, and counted")
    func distinct() throws {
        let pool = RegionPool()
        let regions = try (0..<40).map { _ in try #require(pool.take()) }
        #expect(pool.lent == 40)
        #expect(Set(regions).count == 40)
        for region in regions {
            region.storeBytes(of: 0xA5, toByteOffset: 0, as: UInt8.self)
            region.storeBytes(of: 0x5A, toByteOffset: RegionSize.bytes - 1, as: UInt8.self)
        }
        for region in regions { pool.put(region) }
        #expect(pool.lent == 0)
    }

    @Test("The region given back last is lent first")
    func lastInFirstOut() throws {
        let pool = RegionPool()
        let first = try #require(pool.take())
        let second = try #require(pool.take())
        pool.put(first)
        pool.put(second)
        #expect(pool.take() == second)
        #expect(pool.take() == first)
        pool.put(first)
        pool.put(second)
    }
}
