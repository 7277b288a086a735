// AES-256-GCM for handshake messages and other things made once. Frames go through `FrameCipher`.

import COpenSSL

/// AES-256-GCM (SP 800-38D) with a 12-byte nonce and a 16-byte tag after the ciphertext.
package enum AEAD {
    /// Bytes that sealing adds.
    package static let tagSize = 16

    /// `plaintext` encrypted under a 32-byte key, followed by the tag. Never call it twice with the same
    /// key and nonce.
    package static func seal(key: borrowing Secret, nonce: [UInt8], aad: [UInt8], plaintext: [UInt8]) -> [UInt8] {
        var sealed = plaintext + [UInt8](repeating: 0, count: tagSize)
        let context = GCMContext()
        sealed.withUnsafeMutableBytes { bytes in
            let message = UnsafeMutableRawBufferPointer(rebasing: bytes.dropLast(tagSize))
            context.start(key: key, nonce: nonce, aad: aad, encrypting: true)
            context.process(message)
            guard context.finish(), context.readTag(into: bytes.baseAddress! + message.count) else {
                fatalError("libcrypto failed to encrypt")
            }
        }
        return sealed
    }

    /// The plaintext of what `seal` made; `notAuthentic` if anything differs, `lengthOutOfRange` if
    /// there is not even a tag.
    package static func open(
        key: borrowing Secret, nonce: [UInt8], aad: [UInt8], sealed: [UInt8]
    ) throws(CodecError) -> [UInt8] {
        guard sealed.count >= tagSize else { throw .lengthOutOfRange }
        var plaintext = [UInt8](sealed.dropLast(tagSize))
        let tag = Array(sealed.suffix(tagSize))
        let isAuthentic = plaintext.withUnsafeMutableBytes {
            open(inPlace: $0, tag: tag, key: key, nonce: nonce, aad: aad)
        }
        guard isAuthentic else { throw .notAuthentic }
        return plaintext
    }

    /// Decrypts `bytes` where they lie. False, and all of them zero, if the tag does not verify. So no plaintext is
    /// left that was not verified, wherever the caller's memory goes next.
    static func open(
        inPlace bytes: UnsafeMutableRawBufferPointer, tag: [UInt8], key: borrowing Secret, nonce: [UInt8],
        aad: [UInt8]
    ) -> Bool {
        let context = GCMContext()
        context.start(key: key, nonce: nonce, aad: aad, encrypting: false)
        context.process(bytes)
        guard context.expectTag(tag), context.finish() else {
            ERR_clear_error()
            OPENSSL_cleanse(bytes.baseAddress, bytes.count)
            return false
        }
        return true
    }
}

/// The cipher, fetched once: libcrypto's fetch takes locks that do not scale.
nonisolated(unsafe) let aes256GCM: OpaquePointer = {
    guard let cipher = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else { fatalError("libcrypto has no AES-256-GCM") }
    return cipher
}()

/// One encryption or decryption. libcrypto wipes its key schedule when the context is freed.
private struct GCMContext: ~Copyable {
    private let context: OpaquePointer

    init() {
        guard let context = EVP_CIPHER_CTX_new() else { fatalError("out of memory for a cipher context") }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    func start(key: borrowing Secret, nonce: [UInt8], aad: [UInt8], encrypting: Bool) {
        precondition(key.count == 32 && nonce.count == 12, "AES-256-GCM takes a 32-byte key and a 12-byte nonce")
        var written: Int32 = 0
        let isReady = key.withUnsafeBytes { key in
            EVP_CipherInit_ex2(
                context, aes256GCM, key.baseAddress!.assumingMemoryBound(to: UInt8.self), nonce, encrypting ? 1 : 0, nil
            )
        }
        guard isReady == 1, aad.isEmpty || EVP_CipherUpdate(context, nil, &written, aad, Int32(aad.count)) == 1 else {
            fatalError("libcrypto failed to start AES-256-GCM")
        }
    }

    /// Encrypts or decrypts in place.
    func process(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count > 0 else { return }
        var written: Int32 = 0
        guard EVP_CipherUpdate(context, base, &written, base, Int32(bytes.count)) == 1 else {
            fatalError("libcrypto failed to run AES-256-GCM")
        }
    }

    func expectTag(_ tag: [UInt8]) -> Bool {
        var tag = tag
        return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, &tag) == 1
    }

    func finish() -> Bool {
        var written: Int32 = 0
        var nothing: UInt8 = 0
        return EVP_CipherFinal_ex(context, &nothing, &written) == 1
    }

    func readTag(into tag: UnsafeMutableRawPointer) -> Bool {
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1
    }
}
