// What is left in memory after a frame.

import Foundation
import Testing

@testable import Codec

@Suite("Remains of a frame")
struct RemainsTests {
    @Test("A derivation fills the working memory, and encoding, decoding and refusing leave it zero")
    func scratch() throws {
        let direction = Direction()
        let cipher = FrameCipher()
        func isClean() -> Bool { cipher.scratch.allSatisfy { $0 == 0 } }

        let used = Secret(count: FrameDerivation.scratchSize)
        let derivation = FrameDerivation(scratch: used.address)
        let inputs = FrameInputs(
            entropy: secret(direction.entropy), personalization: direction.personalization, prefix: direction.prefix)
        derivation.derive(from: inputs.address, counter: 0)
        #expect(used.bytes.count { $0 != 0 } > 300)
        derivation.wipe()
        #expect(used.bytes.allSatisfy { $0 == 0 })

        #expect(isClean())
        let buffer = FrameBuffer(nonce: 0, plaintext: [1, 2, 3])
        var encoders = direction.encoders()
        try encoders.makeEncoder().encode(frame: buffer.start, count: 3, with: cipher)
        #expect(isClean())
        var decoders = direction.decoders()
        try decoders.makeDecoder(nonce: 0).decode(frame: buffer.start, count: 3, with: cipher)
        #expect(isClean())
        #expect(throws: CodecError.notAuthentic) {
            try decoders.makeDecoder(nonce: 1).decode(frame: buffer.start, count: 3, with: cipher)
        }
        #expect(isClean())
        cipher.scrub()
        #expect(isClean())
    }

    @Test("A frame's key is in the process until the scrub and nowhere after it", arguments: [false, true])
    func noKeyOutlivesTheScrub(decoding: Bool) throws {
        let direction = Direction()
        let keys = try [maskedKey(of: direction, counter: 0), maskedKey(of: direction, counter: 1)]
        let frames = try [
            FrameBuffer(frame: direction.frame([0], nonce: 0)), FrameBuffer(frame: direction.frame([0], nonce: 1)),
        ]
        let cipher = FrameCipher()
        var encoders = direction.encoders()
        var decoders = direction.decoders()
        func use(_ nonce: UInt64) throws {
            if decoding {
                let frame = frames[Int(nonce)]
                try decoders.makeDecoder(nonce: nonce).decode(frame: frame.start, count: 1, with: cipher)
            } else {
                let frame = FrameBuffer(nonce: nonce, plaintext: [0])
                try encoders.makeEncoder().encode(frame: frame.start, count: 1, with: cipher)
            }
        }
        // The first frame shows that the search finds a key that is there. What it found it leaves on the
        // stack, so the second frame has another key.
        try use(0)
        #expect(try occurrences(of: keys[0]) > 0)
        try use(1)
        cipher.scrub()
        #expect(try occurrences(of: keys[1]) == 0)
    }

    private static let mask: UInt64 = 0x5555_5555_5555_5555

    /// The first eight bytes of a frame's AES key, masked while they are in locked memory still.
    private func maskedKey(of direction: Direction, counter: UInt64) throws -> UInt64 {
        var drbg = HMACDRBG(
            entropy: direction.entropy, nonce: direction.prefix + withUnsafeBytes(of: counter.bigEndian) { Array($0) },
            personalization: direction.personalization)
        let key = Secret(count: 44)
        return try key.withUnsafeMutableBytes { key in
            try drbg.generate(into: key, additionalInput: UnsafeRawBufferPointer(start: nil, count: 0))
            for index in key.indices { key[index] ^= 0x55 }
            return key.load(as: UInt64.self)
        }
    }

    /// How often the masked eight bytes stand, unmasked and aligned, in the writable memory of this process.
    private func occurrences(of masked: UInt64) throws -> Int {
        let memory = open("/proc/self/mem", O_RDONLY)
        try #require(memory >= 0)
        defer { close(memory) }
        let size = 1 << 16
        let window = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
        defer { window.deallocate() }
        let own = UInt(bitPattern: window)..<UInt(bitPattern: window) + UInt(size)
        var found = 0
        for line in try processLines("maps") {
            let fields = line.split(separator: " ")
            let range = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard fields[1].hasPrefix("rw"), range.count == 2 else { continue }
            for start in stride(from: range[0], to: range[1], by: size) {
                let count = pread(memory, window, min(size, Int(range[1] - start)), off_t(start))
                guard count > 0 else { continue }  // unmapped by another thread meanwhile
                let words = UnsafeBufferPointer(start: window.assumingMemoryBound(to: UInt64.self), count: count / 8)
                for index in 0..<words.count where words[index] ^ Self.mask == masked {
                    if !own.contains(start + UInt(index * 8)) { found += 1 }
                }
            }
        }
        return found
    }
}
