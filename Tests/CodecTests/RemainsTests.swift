// What is left in memory after a frame.

import CLinux
import COpenSSL
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

    @Test(
        "A frame's key, and the hash key made from it, are nowhere in the process after the scrub",
        arguments: [false, true])
    func noKeyOutlivesTheScrub(decoding: Bool) throws {
        let direction = Direction()
        // Made with a cipher of its own: what that leaves on the stack, making the keys overwrites.
        let frame = try FrameBuffer(frame: direction.frame([0], nonce: 0))
        let (key, hashKey) = try maskedKeys(of: direction, counter: 0)
        let cipher = FrameCipher()
        var encoders = direction.encoders()
        var decoders = direction.decoders()
        if decoding {
            try decoders.makeDecoder(nonce: 0).decode(frame: frame.start, count: 1, with: cipher)
        } else {
            let frame = FrameBuffer(nonce: 0, plaintext: [0])
            try encoders.makeEncoder().encode(frame: frame.start, count: 1, with: cipher)
        }
        cipher.scrub()
        #expect(try occurrences(of: key) == 0)
        #expect(try occurrences(of: hashKey) == 0)
        #expect(try occurrences(of: hashKey.byteSwapped) == 0)
        // The search does find a key that is there.
        let witness = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        defer { witness.deallocate() }
        for masked in [key, hashKey] {
            witness.pointee = masked ^ Self.mask
            #expect(try occurrences(of: masked) > 0)
        }
        witness.pointee = 0
    }

    private static let mask: UInt64 = 0x5555_5555_5555_5555

    /// The first eight bytes of a frame's AES key and of GHASH's key H = AES(key, 0^128), masked while they
    /// are in locked memory still.
    private func maskedKeys(of direction: Direction, counter: UInt64) throws -> (key: UInt64, hashKey: UInt64) {
        var drbg = HMACDRBG(
            entropy: direction.entropy, nonce: direction.prefix + withUnsafeBytes(of: counter.bigEndian) { Array($0) },
            personalization: direction.personalization)
        let key = Secret(count: 44)
        let hashKey = Secret(count: 16)
        return try key.withUnsafeMutableBytes { key in
            try drbg.generate(into: key, additionalInput: UnsafeRawBufferPointer(start: nil, count: 0))
            return hashKey.withUnsafeMutableBytes { hashKey in
                let context = EVP_CIPHER_CTX_new()
                let cipher = EVP_CIPHER_fetch(nil, "AES-256-ECB", nil)
                let block = hashKey.baseAddress!.assumingMemoryBound(to: UInt8.self)
                var written: Int32 = 0
                EVP_EncryptInit_ex2(
                    context, cipher, key.baseAddress!.assumingMemoryBound(to: UInt8.self), nil, nil)
                EVP_EncryptUpdate(context, block, &written, block, 16)
                EVP_CIPHER_CTX_free(context)
                EVP_CIPHER_free(cipher)
                for index in key.indices { key[index] ^= 0x55 }
                for index in hashKey.indices { hashKey[index] ^= 0x55 }
                ow_burn_stack()
                return (key.load(as: UInt64.self), hashKey.load(as: UInt64.self))
            }
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
