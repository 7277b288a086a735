// SHA-256's compression function alone: the hot path pads its blocks itself.

import COpenSSL

/// One hash state in memory of the caller, and the function that takes a block into it (FIPS 180-4 §6.2.2). In
/// libcrypto it is apart from this call apart from its buffering `SHA256_Update`; a block costs about 45 ns with it.
struct Compression {
    /// Bytes that the caller provides; libcrypto's type is larger than the 32 bytes this needs.
    static let contextSize = 128
    /// H(0), FIPS 180-4 §5.3.3.
    @inline(__always) static var initial: SIMD8<UInt32> {
        SIMD8(
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19)
    }

    private let context: UnsafeMutablePointer<SHA256_CTX>

    /// `memory`: `contextSize` bytes, aligned to 32.
    @inline(__always)
    init(_ memory: UnsafeMutableRawPointer) { context = memory.assumingMemoryBound(to: SHA256_CTX.self) }

    /// The eight words of the hash state.
    @inline(__always)
    var state: SIMD8<UInt32> {
        get { UnsafeRawPointer(context).load(as: SIMD8<UInt32>.self) }
        nonmutating set { UnsafeMutableRawPointer(context).storeBytes(of: newValue, as: SIMD8<UInt32>.self) }
    }

    /// Takes one block of 64 bytes into the state.
    @inline(__always)
    func absorb(_ block: UnsafeRawPointer) {
        SHA256_Transform(context, block.assumingMemoryBound(to: UInt8.self))
    }

    /// The state after the padded key block of an HMAC whose key is 32 zero bytes: what the DRBG's first
    /// step starts from. Nothing secret goes in, so an ordinary block will do.
    static func zeroKey(pad: UInt8) -> SIMD8<UInt32> {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: contextSize + 64, alignment: 32)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: pad, count: contextSize + 64)
        let compression = Compression(memory)
        compression.state = initial
        compression.absorb(memory + contextSize)
        return compression.state
    }
}
