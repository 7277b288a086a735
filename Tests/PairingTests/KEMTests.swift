// ML-KEM by itself: both halves agree, and the private one is where secrets are.

import Codec
import Foundation
import Testing

@testable import Pairing

@Suite("ML-KEM-768")
struct KEMTests {
    @Test("What is encapsulated to a key is what its owner decapsulates, and nobody else")
    func agreement() throws {
        let (own, other) = (KEM.DecapsulationKey(), KEM.DecapsulationKey())
        #expect(own.encapsulationKey.count == KEM.encapsulationKeySize)
        #expect(own.encapsulationKey != other.encapsulationKey)
        let encapsulation = try KEM.encapsulate(to: own.encapsulationKey)
        let shared = encapsulation.sharedSecret.exposed
        #expect(try own.decapsulate(encapsulation.ciphertext).exposed == shared)
        #expect(try other.decapsulate(encapsulation.ciphertext).exposed != shared)
        for count in [0, 1087, 1089] {
            #expect(throws: KEMError.invalidCiphertext) {
                _ = try own.decapsulate([UInt8](repeating: 0, count: count))
            }
        }
    }

    @Test("A seed of another length than 64 bytes makes no key")
    func seed() throws {
        for count in [0, 32, 63, 65] {
            #expect(throws: KEMError.failed) { try KEM.DecapsulationKey(seed: [UInt8](repeating: 0, count: count)) }
        }
        let seed = [UInt8](repeating: 5, count: 64)
        #expect(
            try KEM.DecapsulationKey(seed: seed).encapsulationKey
                == KEM.DecapsulationKey(seed: seed).encapsulationKey)
    }

    @Test("A private key lies in pages that are locked, in no core file, and is gone when the handshake is over")
    func lockedMemory() throws {
        let neighbour = KEM.DecapsulationKey()
        var key: KEM.DecapsulationKey? = KEM.DecapsulationKey()
        let (start, count) = try #require(key).withUnsafeBytes { ($0.baseAddress!, $0.count) }
        // 12 bits for each of 256 × 3 coefficients of s at the least, and z.
        #expect(count > 1152 + 32)
        #expect((0..<count).count { start.load(fromByteOffset: $0, as: UInt8.self) != 0 } > count / 4)
        let flags = try #require(try mappingFlags(of: UInt(bitPattern: start)))
        #expect(flags.contains("dd"), "MADV_DONTDUMP")
        #expect(flags.contains("wf"), "MADV_WIPEONFORK")
        // A sanitizer makes mlock do nothing.
        #if !ONCEWIRE_SANITIZER
            #expect(flags.contains("lo") || Secret.unlockedBytes > 0, "mlock")
        #endif
        if neighbour.withUnsafeBytes({ UInt(bitPattern: $0.baseAddress!) & ~16383 }) == UInt(bitPattern: start) & ~16383
        {
            let before = (0..<count).map { start.load(fromByteOffset: $0, as: UInt8.self) }
            key = nil
            // Another test's key may have the place already; nothing of this one is left there.
            let kept = (0..<count).count {
                before[$0] != 0 && start.load(fromByteOffset: $0, as: UInt8.self) == before[$0]
            }
            #expect(kept < count / 16)
        }
    }

    /// The kernel's flags of the mapping that holds `address`, from /proc/self/smaps.
    private func mappingFlags(of address: UInt) throws -> [Substring]? {
        let handle = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/smaps"))
        var text = Data()
        while let part = try handle.read(upToCount: 1 << 16), !part.isEmpty { text.append(part) }
        var isInside = false
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ")
            let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if range.count == 2 { isInside = (range[0]..<range[1]).contains(address) }
            if isInside, fields[0] == "VmFlags:" { return Array(fields.dropFirst()) }
        }
        return nil
    }
}
