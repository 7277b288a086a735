// The key and iv of one frame: HMAC-DRBG-SHA-256, instantiated, asked once for 44 bytes and wiped
// (SP 800-90A §10.1.2.3 and §10.1.2.5).
//
//     instantiate   K1 = HMAC(0^32, V0 || 0x00 || E || N || P)    2 compressions
//                   V1 = HMAC(K1, V0)                             4   (2 of them: K1's padded key blocks)
//                   K2 = HMAC(K1, V1 || 0x01 || E || N || P)      3
//                   V2 = HMAC(K2, V1)                             4   (2 of them: K2's padded key blocks)
//     generate(44)  V3 = HMAC(K2, V2)                             2
//                   V4 = HMAC(K2, V3)                             2
//                   key || iv = (V3 || V4)[0..<44]              = 17
//
// Two choices keep the sum at 17. E || N || P is 86 bytes. HMAC's key block, V || one byte || E || N || P and
// SHA-256's padding then fill exactly three blocks. What is the same for every frame is not computed again. That is
// the padded blocks of the zero key, and K1's first block, which holds only V0, 0x00 and 31 bytes of E. (Through
// HMAC's streaming interface the same costs 27 compressions.)
//
// The update that ends Generate is left out. It changes Key and V only, and the bytes are already out. This instance
// is never asked again but wiped, so no output could ever depend on it.

import CLinux

/// The working memory of a derivation and the steps on it. Between derivations all of it is zero.
///
///     offset   0  hash state           192  block for 32-byte messages     384  padded key block
///            128  inner key state      256  V1 || 0x01 || E[0..<31]        448  V3 || V4: key (32), iv (12)
///            160  outer key state      320  last block, with the counter
struct FrameDerivation {
    static let scratchSize = 512

    private let scratch: UnsafeMutableRawPointer
    /// The state after HMAC's outer key block for the zero key.
    private let zeroKeyOuter: SIMD8<UInt32>

    /// `scratch`: `scratchSize` zero bytes, aligned to 64.
    init(scratch: UnsafeMutableRawPointer) {
        self.scratch = scratch
        zeroKeyOuter = Compression.zeroKey(pad: 0x5c)
    }

    /// The AES key of the frame last derived, 32 bytes.
    @inline(__always) var key: UnsafeRawPointer { UnsafeRawPointer(scratch + 448) }
    /// The iv of the frame last derived, 12 bytes.
    @inline(__always) var iv: UnsafeRawPointer { UnsafeRawPointer(scratch + 480) }

    /// Wipes everything, the key and iv included, in a way that the optimiser keeps.
    @inline(__always)
    func wipe() { ow_wipe(scratch, Self.scratchSize) }

    /// Derives key and iv for `counter` from the prepared inputs of a direction (`FrameInputs.address`).
    @inline(__always)
    func derive(from inputs: UnsafeRawPointer, counter: UInt64) {
        let message = scratch + 192
        let first = scratch + 256
        let last = scratch + 320

        // HMAC's inner key block and 32 bytes of message: 96 bytes, 768 bits.
        message.storeBytes(of: 0x80, toByteOffset: 32, as: UInt8.self)
        message.storeBytes(of: UInt64(96 * 8).bigEndian, toByteOffset: 56, as: UInt64.self)
        last.copyMemory(from: inputs + FrameInputs.lastBlock, byteCount: 64)
        last.storeBytes(
            of: counter.bigEndian, toByteOffset: FrameInputs.counter - FrameInputs.lastBlock, as: UInt64.self)

        hash.state = inputs.load(as: SIMD8<UInt32>.self)
        hash.absorb(last)
        finish(outer: zeroKeyOuter)
        useStateAsKey()

        message.storeBytes(of: SIMD32<UInt8>(repeating: 0x01), as: SIMD32<UInt8>.self)
        authenticateMessage()
        first.copyMemory(from: message, byteCount: 32)
        (first + 32).copyMemory(from: inputs + FrameInputs.secondHalf, byteCount: 32)

        hash.state = innerKey
        hash.absorb(first)
        hash.absorb(last)
        finish(outer: outerKey)
        useStateAsKey()

        message.copyMemory(from: first, byteCount: 32)
        authenticateMessage()
        authenticateMessage()
        (scratch + 448).copyMemory(from: message, byteCount: 32)
        authenticateMessage()
        (scratch + 480).copyMemory(from: message, byteCount: 32)
    }

    @inline(__always) private var hash: Compression { Compression(scratch) }
    @inline(__always) private var innerKey: SIMD8<UInt32> { (scratch + 128).load(as: SIMD8<UInt32>.self) }
    @inline(__always) private var outerKey: SIMD8<UInt32> { (scratch + 160).load(as: SIMD8<UInt32>.self) }

    /// Ends an HMAC whose inner hash is in the state: 1 compression. The result stays in the state.
    @inline(__always)
    private func finish(outer: SIMD8<UInt32>) {
        writeState(to: scratch + 192, xor: 0)
        hash.state = outer
        hash.absorb(scratch + 192)
    }

    /// message = HMAC(K, message) for the 32 bytes at `message`: 2 compressions.
    @inline(__always)
    private func authenticateMessage() {
        hash.state = innerKey
        hash.absorb(scratch + 192)
        finish(outer: outerKey)
        writeState(to: scratch + 192, xor: 0)
    }

    /// K = the 32 bytes in the state: 2 compressions for its padded blocks.
    @inline(__always)
    private func useStateAsKey() {
        let block = scratch + 384
        writeState(to: block, xor: 0x3636_3636)
        (block + 32).storeBytes(of: SIMD32<UInt8>(repeating: 0x36), as: SIMD32<UInt8>.self)
        hash.state = Compression.initial
        hash.absorb(block)
        (scratch + 128).storeBytes(of: hash.state, as: SIMD8<UInt32>.self)

        for offset in stride(from: 0, to: 64, by: 8) {
            let padded = block.load(fromByteOffset: offset, as: UInt64.self) ^ 0x6a6a_6a6a_6a6a_6a6a  // 0x36 ^ 0x5c
            block.storeBytes(of: padded, toByteOffset: offset, as: UInt64.self)
        }
        hash.state = Compression.initial
        hash.absorb(block)
        (scratch + 160).storeBytes(of: hash.state, as: SIMD8<UInt32>.self)
    }

    /// Writes the state as the 32 bytes of a digest, each word xored with `pad`.
    @inline(__always)
    private func writeState(to bytes: UnsafeMutableRawPointer, xor pad: UInt32) {
        for offset in stride(from: 0, to: 32, by: 4) {
            let word = scratch.load(fromByteOffset: offset, as: UInt32.self).bigEndian
            bytes.storeBytes(of: word ^ pad, toByteOffset: offset, as: UInt32.self)
        }
    }
}
