// What goes wrong without anybody seeing it: plaintext that was not verified, randomness that is none, comparisons
// that stop early.

import COpenSSL
import Foundation
import Testing

@testable import Codec

@Suite("Carefulness")
struct CarefulnessTests {
    @Test("Bytes that do not verify are zero after the attempt to open them, in the memory where they were decrypted")
    func unverifiedPlaintext() {
        let key = Secret.random(count: 32)
        let nonce = [UInt8](repeating: 1, count: 12)
        let plaintext = [UInt8]("not to be seen before it is verified".utf8)
        let sealed = AEAD.seal(key: key, nonce: nonce, aad: [1], plaintext: plaintext)
        let tag = Array(sealed.suffix(AEAD.tagSize))

        var bytes = Array(sealed.dropLast(AEAD.tagSize))
        let opened = bytes.withUnsafeMutableBytes { AEAD.open(inPlace: $0, tag: tag, key: key, nonce: nonce, aad: [1]) }
        #expect(opened && bytes == plaintext)

        let forgedTag = Array(tag.dropLast()) + [tag[15] ^ 1]
        for (aad, tag) in [([2], tag), ([1], forgedTag)] as [([UInt8], [UInt8])] {
            bytes = Array(sealed.dropLast(AEAD.tagSize))
            let opened = bytes.withUnsafeMutableBytes {
                AEAD.open(inPlace: $0, tag: tag, key: key, nonce: nonce, aad: aad)
            }
            #expect(!opened)
            #expect(bytes == [UInt8](repeating: 0, count: plaintext.count))
        }
    }

    @Test("When libcrypto has no random bytes the process stops, for public randomness")
    func noPublicRandomness() async {
        await #expect(processExitsWith: .failure) {
            refuseRandomness()
            _ = RandomBytes.bytes(16)
        }
    }

    @Test("When libcrypto has no random bytes the process stops, for secret randomness")
    func noSecretRandomness() async {
        await #expect(processExitsWith: .failure) {
            refuseRandomness()
            _ = Secret.random(count: 32)
        }
    }

    @Test("A process in which libcrypto refuses randomness goes on: what stops it above is the missing randomness")
    func refusalIsSeen() async {
        await #expect(processExitsWith: .success) {
            refuseRandomness()
            var bytes = [UInt8](repeating: 0, count: 16)
            exit(RAND_bytes(&bytes, 16) != 1 && RAND_priv_bytes(&bytes, 16) != 1 ? 0 : 1)
        }
    }

    @Test("Comparing reads every page of both sides, though the first byte differs")
    func constantTime() throws {
        let pages = 64
        let size = pages * 4096
        let (a, b) = (UntouchedMemory(size), UntouchedMemory(size))
        a.bytes[0] = 1
        b.bytes[0] = 2
        #expect(a.touched == [0] && b.touched == [0])
        #expect(!constantTimeEqual(UnsafeRawBufferPointer(a.bytes), UnsafeRawBufferPointer(b.bytes)))
        #expect(a.touched == Array(0..<pages) && b.touched == Array(0..<pages))
    }

    @Test("Comparing arrays reads every page of both sides, though the first byte differs")
    func constantTimeOfArrays() throws {
        // So large that the heap maps them for themselves, from the kernel and untouched.
        let size = 64 << 20
        func array(_ first: UInt8) -> [UInt8] {
            [UInt8](unsafeUninitializedCapacity: size) { bytes, initialized in
                madvise(
                    UnsafeMutableRawPointer(mutating: page(bytes.baseAddress! + 8191)), size - 16384, MADV_NOHUGEPAGE)
                bytes[0] = first
                initialized = size
            }
        }
        let (a, b) = (array(1), array(2))
        func untouched(_ array: [UInt8]) -> Int {
            array.withUnsafeBytes { bytes in
                var states = [UInt8](repeating: 0, count: (size - 16384) / 4096)
                let start = UnsafeMutableRawPointer(mutating: page(bytes.baseAddress! + 8191))
                #expect(mincore(start, states.count * 4096, &states) == 0)
                return states.count { $0 & 1 == 0 }
            }
        }
        #expect(untouched(a) > 16_000 && untouched(b) > 16_000)
        #expect(!constantTimeEqual(a, b))
        #expect(untouched(a) == 0 && untouched(b) == 0)
    }

    private func page(_ address: UnsafeRawPointer) -> UnsafeRawPointer {
        UnsafeRawPointer(bitPattern: UInt(bitPattern: address) & ~4095)!
    }
}

/// From now on libcrypto's generators fail in this process.
private func refuseRandomness() {
    // It stays where libcrypto has its address.
    let refusing = UnsafeMutablePointer<RAND_METHOD>.allocate(capacity: 1)
    refusing.initialize(
        to: RAND_METHOD(
            seed: nil, bytes: { _, _ in 0 }, cleanup: nil, add: nil, pseudorand: { _, _ in 0 }, status: { 0 }))
    RAND_set_rand_method(refusing)
}

/// Anonymous memory of which the kernel knows what was touched.
private final class UntouchedMemory {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ size: Int) {
        let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        madvise(start, size, MADV_NOHUGEPAGE)
        bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit { munmap(bytes.baseAddress!, bytes.count) }

    /// The numbers of the pages that were read or written.
    var touched: [Int] {
        var states = [UInt8](repeating: 0, count: bytes.count / 4096)
        guard mincore(bytes.baseAddress!, bytes.count, &states) == 0 else { return [] }
        return states.indices.filter { states[$0] & 1 == 1 }
    }
}
