// Secrets and the locked memory they live in.

import Foundation
import Testing

@testable import Codec

@Suite("Secret")
struct SecretTests {
    @Test(
        "A new secret is zero, and a copy has the bytes it was made from", arguments: [0, 1, 31, 32, 33, 4096, 20000])
    func contents(count: Int) {
        #expect(Secret(count: count).bytes == Array(repeating: 0, count: count))
        let bytes = RandomBytes.bytes(count)
        let original = secret(bytes)
        #expect(original.count == count)
        #expect(original.bytes == bytes)
        let copy = original.copy()
        original.withUnsafeMutableBytes { for index in $0.indices { $0[index] = 0xAA } }
        #expect(copy.bytes == bytes)
    }

    @Test("Slices and joins have the right bytes")
    func slicesAndJoins() {
        let a = secret([1, 2, 3])
        let b = secret([4])
        let c = secret([])
        let d = secret([5, 6])
        #expect(Secret.joined(a, b).bytes == [1, 2, 3, 4])
        #expect(Secret.joined(a, c, d).bytes == [1, 2, 3, 5, 6])
        #expect(Secret.joined(a, b, c, d).bytes == [1, 2, 3, 4, 5, 6])
        #expect(a.slice(1..<3).bytes == [2, 3])
        #expect(a.slice(3..<3).bytes.isEmpty)
    }

    @Test("Random secrets differ")
    func random() {
        let first = Secret.random(count: 32)
        #expect(first.bytes != Secret.random(count: 32).bytes)
        #expect(first.bytes != Array(repeating: 0, count: 32))
    }

    @Test("A secret that ended has left zeros behind")
    func wipedInDeinit() {
        // Of a size that no other test uses, so that nobody else takes the slot; `neighbour` keeps it mapped.
        let neighbour = Secret(count: 2000)
        let address: UnsafeMutableRawPointer
        do {
            let ended = secret(Array(repeating: 0xAB, count: 1500))
            address = ended.address
            #expect((0..<1500).allSatisfy { address.load(fromByteOffset: $0, as: UInt8.self) == 0xAB })
        }
        #expect((0..<2048).allSatisfy { address.load(fromByteOffset: $0, as: UInt8.self) == 0 })
        #expect(neighbour.count == 2000)
    }

    @Test("Secrets' pages are locked, kept out of core dumps and empty after a fork")
    func pageFlags() throws {
        let secret = Secret(count: 32)
        let flags = try #require(try mappingFlags(of: UInt(bitPattern: secret.address)))
        #expect(flags.contains("dd"), "MADV_DONTDUMP")
        #expect(flags.contains("wf"), "MADV_WIPEONFORK")
        // A sanitizer makes mlock do nothing.
        #if !ONCEWIRE_SANITIZER
            #expect(flags.contains("lo") || Secret.unlockedBytes > 0, "mlock")
        #endif
    }

    @Test("Nothing can be reached on either side of a secret's pages", arguments: [32, 4096, 20_000])
    func guards(count: Int) throws {
        let secret = Secret(count: count)
        let first = UInt(bitPattern: secret.address) & ~UInt(SecretArena.slabSize - 1)
        let size = max(SecretArena.slabSize, SecretArena.capacity(for: count))
        for outside in [first - 1, first + UInt(size)] {
            let protection = try #require(try mappingProtection(of: outside), "nothing keeps others out of there")
            #expect(protection == "---p")
        }
        #expect(try mappingProtection(of: first)?.hasPrefix("rw") == true)
    }

    /// The access that the mapping of `address` allows, from /proc/self/maps; nil where there is no mapping.
    private func mappingProtection(of address: UInt) throws -> Substring? {
        for line in try processLines("maps") {
            let fields = line.split(separator: " ")
            let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if range.count == 2, (range[0]..<range[1]).contains(address) { return fields[1] }
        }
        return nil
    }

    /// The kernel's flags of the mapping that holds `address`, from /proc/self/smaps.
    private func mappingFlags(of address: UInt) throws -> [Substring]? {
        var isInside = false
        for line in try processLines("smaps") {
            let fields = line.split(separator: " ")
            let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if range.count == 2 { isInside = (range[0]..<range[1]).contains(address) }
            if isInside, fields[0] == "VmFlags:" { return Array(fields.dropFirst()) }
        }
        return nil
    }
}

@Suite("Secret arena")
struct SecretArenaTests {
    @Test("Slots do not overlap, are zero when handed out, and are zero again when given back")
    func slots() {
        let arena = SecretArena()
        let sizes = (0..<500).map { [1, 32, 33, 100, 128, 500, 4096, 5000][$0 % 8] }
        var slots = sizes.map { (arena.allocate($0), $0) }
        let ranges = slots.map { slot, size in
            UInt(bitPattern: slot)..<UInt(bitPattern: slot) + UInt(SecretArena.capacity(for: size))
        }.sorted { $0.lowerBound < $1.lowerBound }
        for (one, next) in zip(ranges, ranges.dropFirst()) { #expect(one.upperBound <= next.lowerBound) }
        for round in 0..<3 {
            for (slot, size) in slots {
                #expect((0..<size).allSatisfy { slot.load(fromByteOffset: $0, as: UInt8.self) == 0 }, "round \(round)")
                slot.initializeMemory(as: UInt8.self, repeating: 0xCD, count: size)
            }
            let dropped = slots.indices.filter { ($0 + round) % 3 == 0 }
            for index in dropped { arena.release(slots[index].0, slots[index].1) }
            for index in dropped { slots[index].0 = arena.allocate(slots[index].1) }
            for index in slots.indices where !dropped.contains(index) {
                slots[index].0.initializeMemory(as: UInt8.self, repeating: 0, count: slots[index].1)
            }
        }
        for (slot, size) in slots { arena.release(slot, size) }
    }

    @Test("Slots are aligned for the widest loads of the hot path")
    func alignment() {
        let arena = SecretArena()
        for size in [32, 128, 512, 1024] {
            let slots = (0..<40).map { _ in arena.allocate(size) }
            #expect(slots.allSatisfy { UInt(bitPattern: $0) % UInt(size) == 0 })
            for slot in slots { arena.release(slot, size) }
        }
    }

    @Test("Ten thousand carriers' inputs fit in 2.5 MiB, and their pages are given back")
    func manyCarriers() {
        let arena = SecretArena()
        let slots = (0..<20_000).map { _ in arena.allocate(FrameInputs.size) }
        #expect(Set(slots).count == slots.count)
        #expect(arena.slabCount * SecretArena.slabSize <= 2_572_288)  // 157 slabs
        for slot in slots.shuffled() { arena.release(slot, FrameInputs.size) }
        #expect(arena.slabCount == 1)
        let again = arena.allocate(FrameInputs.size)
        #expect(arena.slabCount == 1)
        arena.release(again, FrameInputs.size)
        #expect(arena.unlockedBytes >= 0)
    }

    @Test("Many threads share the arena without sharing a slot")
    func threads() async {
        await withTaskGroup(of: Bool.self) { group in
            for worker in 0..<8 as Range<UInt8> {
                group.addTask {
                    var isIntact = true
                    for round in 0..<400 {
                        let mine = secret(Array(repeating: worker, count: 1 + round % 200))
                        let other = Secret(count: 64)
                        isIntact =
                            isIntact && mine.bytes.allSatisfy { $0 == worker } && other.bytes.allSatisfy { $0 == 0 }
                    }
                    return isIntact
                }
            }
            for await isIntact in group { #expect(isIntact) }
        }
    }
}
