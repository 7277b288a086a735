// What one direction of a carrier keeps between frames: the three inputs of every frame's DRBG, laid out
// so that a frame only has to fill in its counter.

import CLinux

/// Entropy E (32), nonce prefix (14) and personalization P (32) of one direction, in 128 bytes of locked
/// memory, which is all the secret memory a direction has:
///
///     offset   0  32  hash state after the first block of HMAC(0^32, V0 || 0x00 || E...)   (never changes)
///             32   1  0x01                                  } second half of the first block
///             33  31  E[0..<31]                             } of HMAC(K, V || 0x01 || E...)
///             64   1  E[31]                                 }
///             65  14  prefix                                } the last block of both: the rest of
///             79   8  the frame's counter (0 here)          } E || N || P and the padding of
///             87  32  P                                     } 64 + 32 + 1 + 86 = 183 hashed bytes
///            119   9  0x80, 183 * 8 as 64 bits              }
struct FrameInputs: ~Copyable, Sendable {
    static let size = 128
    static let entropySize = 32
    static let prefixSize = 14
    static let personalizationSize = 32

    /// Offsets of the table above.
    static let secondHalf = 32
    static let lastBlock = 64
    static let counter = 79
    private static let entropy = 33
    private static let prefix = 65
    private static let personalization = 87

    private let memory = Secret(count: size)

    /// Valid for as long as this value is neither replaced nor dropped.
    var address: UnsafeRawPointer { UnsafeRawPointer(memory.address) }

    init(entropy: borrowing Secret, personalization: [UInt8], prefix: [UInt8]) {
        precondition(
            entropy.count == Self.entropySize && personalization.count == Self.personalizationSize
                && prefix.count == Self.prefixSize, "the lengths of a frame's inputs are fixed")
        #if DEBUG
            entropy.withUnsafeBytes { SecretAudit.reveal?("entropy", $0) }
            personalization.withUnsafeBytes { SecretAudit.reveal?("personalization", $0) }
        #endif
        let base = memory.address
        entropy.withUnsafeBytes { (base + Self.entropy).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        prefix.withUnsafeBytes { (base + Self.prefix).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        personalization.withUnsafeBytes {
            (base + Self.personalization).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
        }
        prepare()
    }

    /// The same direction after a REKEY: E becomes HKDF(salt empty, ikm E || shared, info
    /// "oncewire/1 rekey"), everything else goes on. The old entropy and what was prepared from it are
    /// wiped when the value that this one replaces is dropped.
    func mixed(with shared: borrowing Secret) -> FrameInputs {
        let bytes = UnsafeRawBufferPointer(start: address, count: Self.size)
        let entropy: Secret
        do throws(CodecError) {
            entropy = try HKDF.derive(
                salt: [],
                ikm: .joined(
                    Secret(copying: UnsafeRawBufferPointer(rebasing: bytes[Self.entropy..<Self.prefix])), shared),
                info: Array("oncewire/1 rekey".utf8), count: Self.entropySize)
        } catch {
            fatalError("32 bytes are never too many to derive")
        }
        return FrameInputs(
            entropy: entropy,
            personalization: Array(bytes[Self.personalization..<Self.personalization + Self.personalizationSize]),
            prefix: Array(bytes[Self.prefix..<Self.counter]))
    }

    /// Fills in what is constant per direction.
    private func prepare() {
        let base = memory.address
        base.storeBytes(of: 0x01, toByteOffset: Self.secondHalf, as: UInt8.self)
        base.storeBytes(of: 0x80, toByteOffset: 119, as: UInt8.self)
        base.storeBytes(of: UInt64(183 * 8).bigEndian, toByteOffset: 120, as: UInt64.self)

        // The first block of step one is V0 || 0x00 || E[0..<31].
        let work = Secret(count: Compression.contextSize + 64)
        let context = Compression(work.address)
        let block = work.address + Compression.contextSize
        (block + 32).copyMemory(from: base + Self.secondHalf, byteCount: 32)
        block.storeBytes(of: 0x00, toByteOffset: 32, as: UInt8.self)
        block.storeBytes(of: SIMD32<UInt8>(repeating: 0x01), as: SIMD32<UInt8>.self)
        context.state = Compression.zeroKey(pad: 0x36)
        context.absorb(block)
        base.storeBytes(of: context.state, as: SIMD8<UInt32>.self)
    }
}
