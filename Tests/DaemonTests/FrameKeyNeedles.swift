// What must be nowhere once a frame is done, computed from the inputs of its direction: everything that shows its
// key, in pieces of 16 bytes, which is as much as a vector register or a spilled one holds.

import CHarness
import COpenSSL

@testable import Codec

/// Byte strings of 16 bytes with names, to be looked for all at once.
struct Needles: Sendable {
    private let sorted: [(bytes: [UInt8], name: String)]
    private let flat: [UInt8]

    init(_ needles: [(bytes: [UInt8], name: String)]) {
        precondition(needles.allSatisfy { $0.bytes.count == 16 })
        sorted = needles.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        flat = sorted.flatMap(\.bytes)
    }

    var count: Int { sorted.count }

    /// Every place in `memory` where one of them stands, and its name.
    func found(in memory: UnsafeRawBufferPointer) -> [(place: Int, name: String)] {
        var found: [(place: Int, name: String)] = []
        let bytes = memory.assumingMemoryBound(to: UInt8.self).baseAddress!
        flat.withUnsafeBytes { flat in
            let needles = flat.baseAddress!.assumingMemoryBound(to: Needle.self)
            var from = 0
            while true {
                var which = 0
                let place = ch_find(bytes, memory.count, from, needles, sorted.count, &which)
                guard place >= 0 else { return }
                found.append((place, sorted[which].name))
                from = place + 1
            }
        }
        return found
    }

    private typealias Needle = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )
}

extension FrameInputs {
    /// The entropy's first half: it is in the daemon's memory while the carrier lives, so a search can find something.
    borrowing func witness() -> [UInt8] { Array(UnsafeRawBufferPointer(start: address + 33, count: 16)) }

    /// Of the frames with these counters: the round keys of AES (two neighbours give the key), GHASH's key, and the
    /// DRBG's keys and values that the key follows from.
    borrowing func remains(of counters: Range<UInt64>, _ label: String) -> [(bytes: [UInt8], name: String)] {
        let scratch = Secret(count: FrameDerivation.scratchSize)
        let derivation = FrameDerivation(scratch: scratch.address)
        var needles: [(bytes: [UInt8], name: String)] = []
        for counter in counters {
            derivation.derive(from: address, counter: counter)
            let frame = "frame \(counter) \(label)"
            for (offset, what) in [
                (0, "hash state"), (16, "hash state"), (128, "inner key"), (144, "inner key"), (160, "outer key"),
                (176, "outer key"), (256, "V1"), (272, "V1"),
            ] {
                needles.append(
                    (Array(UnsafeRawBufferPointer(start: scratch.address + offset, count: 16)), "\(what) of \(frame)"))
            }
            let key = Array(UnsafeRawBufferPointer(start: derivation.key, count: 32))
            for (round, bytes) in AESSchedule.roundKeys(of: key).enumerated() {
                needles.append((bytes, "round key \(round) of \(frame)"))
            }
            // What SHA-256 hashed, as it lies on the stack where the processor has no instruction for it: words of the
            // machine's order with the round constants added, or without.
            let outerPad = Array(UnsafeRawBufferPointer(start: scratch.address + 384, count: 32))
            let innerDigest = SHA256.hash(
                outerPad.map { $0 ^ 0x6a } + [UInt8](repeating: 0x36, count: 32), key)
            for (block, what) in [
                (key, "V3"), (innerDigest, "digest within V4"), (outerPad, "outer key block"),
                (outerPad.map { $0 ^ 0x6a }, "inner key block"),
            ] {
                for bytes in MessageSchedule.forms(of: block) { needles.append((bytes, "\(what) of \(frame)")) }
            }
            let hashKey = AESSchedule.encrypted([UInt8](repeating: 0, count: 16), key)
            let tagMask = AESSchedule.encrypted(
                Array(UnsafeRawBufferPointer(start: derivation.iv, count: 12)) + [0, 0, 0, 1], key)
            needles.append((tagMask, "the tag's mask of \(frame)"))
            needles.append((hashKey, "GHASH's key of \(frame)"))
            needles.append((hashKey.reversed(), "GHASH's key of \(frame)"))
            derivation.wipe()
        }
        return needles
    }
}

private enum MessageSchedule {
    /// The first eight of SHA-256's round constants (FIPS 180-4 §4.2.2).
    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    ]

    /// The 32 bytes at the start of a block, as words in memory, with and without the constants; 16 bytes each.
    static func forms(of block: [UInt8]) -> [[UInt8]] {
        let words = (0..<8).map { word in block[4 * word..<4 * word + 4].reduce(0 as UInt32) { $0 << 8 | UInt32($1) } }
        return [words, zip(words, constants).map { $0 &+ $1 }].flatMap { words in
            [words[..<4], words[4...]].map { $0.flatMap { withUnsafeBytes(of: $0.littleEndian) { Array($0) } } }
        }
    }
}

/// AES-256 as far as a search needs it.
private enum AESSchedule {
    /// The 15 round keys (FIPS 197 §5.2), 16 bytes each.
    static func roundKeys(of key: [UInt8]) -> [[UInt8]] {
        var words = stride(from: 0, to: 32, by: 4).map { Array(key[$0..<$0 + 4]) }
        var constant: UInt8 = 1
        for index in 8..<60 {
            var word = words[index - 1]
            if index % 8 == 0 {
                word = [word[1], word[2], word[3], word[0]].map { box[Int($0)] }
                word[0] ^= constant
                constant = double(constant)
            } else if index % 8 == 4 {
                word = word.map { box[Int($0)] }
            }
            words.append(zip(words[index - 8], word).map { $0 ^ $1 })
        }
        return stride(from: 0, to: 60, by: 4).map { Array(words[$0..<$0 + 4].joined()) }
    }

    /// AES(key, block): of zeros GHASH's key, of the iv and 1 what the tag is masked with (SP 800-38D §6.4, §7.1).
    static func encrypted(_ plaintext: [UInt8], _ key: [UInt8]) -> [UInt8] {
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        var block = [UInt8](repeating: 0, count: 32)
        var written: Int32 = 0
        EVP_EncryptInit_ex2(context, EVP_aes_256_ecb(), key, nil, nil)
        EVP_EncryptUpdate(context, &block, &written, plaintext, 16)
        return Array(block[..<16])
    }

    private static func double(_ value: UInt8) -> UInt8 { value << 1 ^ (value & 0x80 != 0 ? 0x1b : 0) }

    /// The S-box (FIPS 197 §5.1.1): p runs through the field by multiplying with 3, q by dividing.
    private static let box: [UInt8] = {
        var box = [UInt8](repeating: 0, count: 256)
        var (p, q) = (1 as UInt8, 1 as UInt8)
        func rotated(_ value: UInt8, _ bits: UInt8) -> UInt8 { value << bits | value >> (8 - bits) }
        repeat {
            p ^= double(p)
            q ^= q << 1
            q ^= q << 2
            q ^= q << 4
            if q & 0x80 != 0 { q ^= 0x09 }
            box[Int(p)] = q ^ rotated(q, 1) ^ rotated(q, 2) ^ rotated(q, 3) ^ rotated(q, 4) ^ 0x63
        } while p != 1
        box[0] = 0x63
        return box
    }()
}
