// What one direction of a carrier keeps between frames: the three inputs of every frame's DRBG. They are laid out so
// that a frame only has to fill in its counter.

/// Entropy E (32), nonce prefix (14) and personalization P (32) of one direction. These 128 bytes of locked memory
/// are all the secret memory a direction has:
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
    fileprivate static let personalization = 87

    private let memory = Secret(count: size)

    /// Valid for as long as this value is neither replaced nor dropped.
    var address: UnsafeRawPointer { UnsafeRawPointer(memory.address) }

    init(entropy: borrowing Secret, personalization: [UInt8], prefix: [UInt8]) {
        entropy.withUnsafeBytes { entropy in
            personalization.withUnsafeBytes { personalization in
                prefix.withUnsafeBytes { fill(entropy: entropy, personalization: personalization, prefix: $0) }
            }
        }
    }

    /// The same direction after a REKEY: E becomes HKDF(salt empty, ikm E || shared, info
    /// "oncewire/1 rekey"), everything else goes on. The old entropy and what was prepared from it are
    /// wiped when the value that this one replaces is dropped.
    init(mixing shared: borrowing Secret, into old: borrowing FrameInputs) {
        let entropy: Secret
        do throws(CodecError) {
            entropy = try HKDF.derive(
                salt: [], ikm: .joined(Secret(copying: old.field(Self.entropy, Self.entropySize)), shared),
                info: Array("oncewire/1 rekey".utf8), count: Self.entropySize)
        } catch {
            fatalError("32 bytes are never too many to derive")
        }
        entropy.withUnsafeBytes {
            fill(
                entropy: $0, personalization: old.field(Self.personalization, Self.personalizationSize),
                prefix: old.field(Self.prefix, Self.prefixSize))
        }
    }

    private func field(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: address + offset, count: count)
    }

    private func fill(
        entropy: UnsafeRawBufferPointer, personalization: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer
    ) {
        precondition(
            entropy.count == Self.entropySize && personalization.count == Self.personalizationSize
                && prefix.count == Self.prefixSize, "the lengths of a frame's inputs are fixed")
        #if DEBUG
            SecretAudit.reveal?("entropy", entropy)
            SecretAudit.reveal?("personalization", personalization)
        #endif
        let base = memory.address
        (base + Self.entropy).copyMemory(from: entropy.baseAddress!, byteCount: entropy.count)
        (base + Self.prefix).copyMemory(from: prefix.baseAddress!, byteCount: prefix.count)
        (base + Self.personalization).copyMemory(from: personalization.baseAddress!, byteCount: personalization.count)
        prepare()
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

/// A direction's prepared inputs, lent to the encoder or decoder of one frame without the cost of counting
/// references. What makes that safe is that the borrower knows which inputs it was given. A slot is wiped when its
/// owner ends, so inputs that were dropped or replaced meanwhile are no longer the ones it knows. Then the process
/// stops instead of working with other bytes. (A ~Escapable type would leave the question to the compiler. But Swift
/// 6.3 refuses to borrow one from a class's stored property in a throwing call.)
struct BorrowedInputs {
    private let address: UnsafeRawPointer
    /// The first bytes of P, which is a hash over carrier and direction.
    private let mark: UInt64

    @inline(__always)
    init(_ inputs: borrowing FrameInputs) {
        address = inputs.address
        mark = Self.mark(at: inputs.address)
    }

    /// The address of the inputs. Stops the process if they are gone.
    @inline(__always)
    func checked() -> UnsafeRawPointer {
        precondition(Self.mark(at: address) == mark, "an encoder or decoder was used after its source had ended")
        return address
    }

    @inline(__always)
    private static func mark(at address: UnsafeRawPointer) -> UInt64 {
        address.loadUnaligned(fromByteOffset: FrameInputs.personalization, as: UInt64.self)
    }
}
