// HMAC-DRBG with SHA-256, the general form. Frames use the one-shot form in FrameDerivation.swift, which
// the tests hold against this one.

/// HMAC_DRBG with SHA-256 (SP 800-90A Rev. 1 §10.1.2) for inputs of any length. Key and V live in locked
/// memory and are wiped with the instance.
package struct HMACDRBG: ~Copyable {
    /// The most that one request may ask for: 2^19 bits (SP 800-90A table 2).
    package static let longestRequest = 65536
    /// Requests between two seeds (SP 800-90A table 2).
    package static let requestsPerSeed: UInt64 = 1 << 48

    /// Key (32) || V (32)
    private let state = Secret(count: 64)
    private let mac = HMACState()
    private var requests: UInt64 = 0

    /// Instantiate (§10.1.2.3). The three inputs are joined without separators, so two sets of inputs whose joins
    /// are equal make the same instance. Fix the lengths where that matters.
    package init(
        entropy: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer, personalization: UnsafeRawBufferPointer
    ) {
        state.withUnsafeMutableBytes { for index in 32..<64 { $0[index] = 0x01 } }
        update(entropy, nonce, personalization)
    }

    /// Reseed (§10.1.2.4).
    package mutating func reseed(entropy: UnsafeRawBufferPointer, additionalInput: UnsafeRawBufferPointer) {
        update(entropy, additionalInput, Self.nothing)
        requests = 0
    }

    /// Generate (§10.1.2.5): fills `output`. `lengthOutOfRange` beyond `longestRequest`,
    /// `nonceExhausted` after `requestsPerSeed` requests without a reseed.
    package mutating func generate(
        into output: UnsafeMutableRawBufferPointer, additionalInput: UnsafeRawBufferPointer
    ) throws(CodecError) {
        guard output.count <= Self.longestRequest else { throw .lengthOutOfRange }
        guard requests < Self.requestsPerSeed else { throw .nonceExhausted }
        requests += 1
        if !additionalInput.isEmpty { update(additionalInput, Self.nothing, Self.nothing) }
        withKeyAndV { key, v in
            var filled = 0
            while filled < output.count {
                mac.start(key: UnsafeRawBufferPointer(key))
                mac.update(UnsafeRawBufferPointer(v))
                mac.finish(into: v.baseAddress!)
                let count = min(32, output.count - filled)
                (output.baseAddress! + filled).copyMemory(from: v.baseAddress!, byteCount: count)
                filled += count
            }
        }
        update(additionalInput, Self.nothing, Self.nothing)
    }

    /// Lends Key and V, 32 bytes each: known answers list them after every call.
    func withKeyAndV(_ body: (_ key: UnsafeMutableRawBufferPointer, _ v: UnsafeMutableRawBufferPointer) -> Void) {
        state.withUnsafeMutableBytes {
            body(UnsafeMutableRawBufferPointer(rebasing: $0[..<32]), UnsafeMutableRawBufferPointer(rebasing: $0[32...]))
        }
    }

    private static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// The update function (§10.1.2.2) with provided data `a || b || c`.
    private func update(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer, _ c: UnsafeRawBufferPointer) {
        withKeyAndV { key, v in
            let hasData = !a.isEmpty || !b.isEmpty || !c.isEmpty
            for round: UInt8 in hasData ? [0x00, 0x01] : [0x00] {
                mac.start(key: UnsafeRawBufferPointer(key))
                mac.update(UnsafeRawBufferPointer(v))
                withUnsafeBytes(of: round) { mac.update($0) }
                mac.update(a)
                mac.update(b)
                mac.update(c)
                mac.finish(into: key.baseAddress!)
                mac.start(key: UnsafeRawBufferPointer(key))
                mac.update(UnsafeRawBufferPointer(v))
                mac.finish(into: v.baseAddress!)
            }
        }
    }
}
