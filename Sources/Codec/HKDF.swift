// HKDF with SHA-256 (RFC 5869). Salts and input keys come as public bytes or as secrets; what comes
// out is always a secret.

/// RFC 5869 with SHA-256. With an empty `info` it is also the HKDF of the Noise protocol framework (rev 34 §4.3):
/// its outputs are the 32-byte pieces.
package enum HKDF {
    /// The most that can be derived at once: 255 blocks (RFC 5869 §2.3).
    package static let longest = 255 * 32

    /// Extract, then expand to `count` bytes; `lengthOutOfRange` beyond `longest`.
    package static func derive(
        salt: [UInt8], ikm: borrowing Secret, info: [UInt8], count: Int
    ) throws(CodecError) -> Secret {
        try expand(prk: extract(salt: salt, ikm: ikm), info: info, count: count)
    }

    /// The same with a salt that is secret (Noise's chaining key).
    package static func derive(
        salt: borrowing Secret, ikm: borrowing Secret, info: [UInt8], count: Int
    ) throws(CodecError) -> Secret {
        try expand(prk: extract(salt: salt, ikm: ikm), info: info, count: count)
    }

    /// The same with a secret salt and input that is public or empty (Noise's `e` in psk mode, Split).
    package static func derive(
        salt: borrowing Secret, ikm: [UInt8], info: [UInt8], count: Int
    ) throws(CodecError) -> Secret {
        try expand(prk: extract(salt: salt, ikm: ikm), info: info, count: count)
    }

    /// RFC 5869 §2.2: the 32-byte pseudorandom key.
    package static func extract(salt: [UInt8], ikm: borrowing Secret) -> Secret {
        let prk = Secret(count: 32)
        ikm.withUnsafeBytes { ikm in salt.withUnsafeBytes { extract(salt: $0, ikm: ikm, into: prk) } }
        return prk
    }

    /// RFC 5869 §2.2 with a secret salt.
    package static func extract(salt: borrowing Secret, ikm: borrowing Secret) -> Secret {
        let prk = Secret(count: 32)
        salt.withUnsafeBytes { salt in ikm.withUnsafeBytes { extract(salt: salt, ikm: $0, into: prk) } }
        return prk
    }

    /// RFC 5869 §2.2 with a secret salt and public input.
    package static func extract(salt: borrowing Secret, ikm: [UInt8]) -> Secret {
        let prk = Secret(count: 32)
        salt.withUnsafeBytes { salt in ikm.withUnsafeBytes { extract(salt: salt, ikm: $0, into: prk) } }
        return prk
    }

    /// RFC 5869 §2.3: `count` bytes; `lengthOutOfRange` beyond `longest`.
    package static func expand(prk: borrowing Secret, info: [UInt8], count: Int) throws(CodecError) -> Secret {
        guard count >= 0, count <= longest else { throw .lengthOutOfRange }
        let okm = Secret(count: (count + 31) / 32 * 32)
        let state = HMACState()
        prk.withUnsafeBytes { prk in
            okm.withUnsafeMutableBytes { okm in
                for block in 0..<okm.count / 32 {
                    state.start(key: prk)
                    if block > 0 { state.update(UnsafeRawBufferPointer(rebasing: okm[(block - 1) * 32..<block * 32])) }
                    info.withUnsafeBytes { state.update($0) }
                    withUnsafeBytes(of: UInt8(block + 1)) { state.update($0) }
                    state.finish(into: okm.baseAddress! + block * 32)
                }
            }
        }
        return count == okm.count ? okm : okm.slice(0..<count)
    }

    private static func extract(
        salt: UnsafeRawBufferPointer, ikm: UnsafeRawBufferPointer, into prk: borrowing Secret
    ) {
        let state = HMACState()
        state.start(key: salt)
        state.update(ikm)
        prk.withUnsafeMutableBytes { state.finish(into: $0.baseAddress!) }
    }
}
