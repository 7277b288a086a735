// The machinery that encoders and decoders of one thread share: cipher contexts and working memory.
// It holds no values of a conversation, only the key schedule of the last frame until `scrub()`.

import CLinux
import COpenSSL

/// AES-256-GCM under a key that is derived for every frame. One per thread, not Sendable. Encoding and
/// decoding allocate nothing and fetch nothing.
package final class FrameCipher {
    private let memory = Secret(count: FrameDerivation.scratchSize)
    private let derivation: FrameDerivation
    private let encrypting: OpaquePointer
    private let decrypting: OpaquePointer
    /// Whether each context holds a frame's key: `[encrypting, decrypting]`. In memory of its own, so that
    /// a frame pays for no check of exclusive access.
    private let holdsKey: UnsafeMutablePointer<Bool>

    /// Makes the contexts. Stops the process if libcrypto has no AES-256-GCM or no memory.
    package init() {
        derivation = FrameDerivation(scratch: memory.address)
        encrypting = Self.makeContext(encrypting: true)
        decrypting = Self.makeContext(encrypting: false)
        holdsKey = .allocate(capacity: 2)
        holdsKey.initialize(repeating: true, count: 2)
        scrub()
    }

    deinit {
        EVP_CIPHER_CTX_free(encrypting)
        EVP_CIPHER_CTX_free(decrypting)
        holdsKey.deallocate()
    }

    /// Overwrites what frames since the last call left: the key schedules, by those of a zero key, and the
    /// dead stack frames of libcrypto's hash. The owner of the thread calls it before it sleeps, so that
    /// no key outlives the turn of the loop that used it.
    package func scrub() {
        guard holdsKey[0] || holdsKey[1] else { return }
        derivation.wipe()
        if holdsKey[0] { start(encrypting, 1) }
        if holdsKey[1] { start(decrypting, 0) }
        holdsKey[0] = false
        holdsKey[1] = false
        ow_burn_stack_of_frames()
    }

    /// `FrameDerivation.scratchSize` bytes of working memory, for the test that looks for remains.
    var scratch: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory.address, count: FrameDerivation.scratchSize)
    }

    /// Encrypts `count` bytes at `frame` + 16 in place and writes the tag behind them. The 16 bytes at
    /// `frame` are authenticated.
    func seal(frame: UnsafeMutableRawPointer, count: Int, inputs: UnsafeRawPointer, counter: UInt64) {
        if PlaintextLadder.isOn { return }
        start(encrypting, 1, inputs, counter)
        let body = (frame + Frame.headerSize).assumingMemoryBound(to: UInt8.self)
        var written: Int32 = 0
        guard process(encrypting, frame, count),
            EVP_EncryptFinal_ex(encrypting, body + count, &written) == 1,
            EVP_CIPHER_CTX_ctrl(encrypting, EVP_CTRL_AEAD_GET_TAG, Int32(Frame.tagSize), body + count) == 1
        else { fatalError("libcrypto failed to encrypt a frame") }
    }

    /// Decrypts `count` bytes at `frame` + 16 in place. False, and those bytes wiped, if the tag behind
    /// them does not verify.
    func open(frame: UnsafeMutableRawPointer, count: Int, inputs: UnsafeRawPointer, counter: UInt64) -> Bool {
        if PlaintextLadder.isOn { return true }
        start(decrypting, 0, inputs, counter)
        let body = (frame + Frame.headerSize).assumingMemoryBound(to: UInt8.self)
        var written: Int32 = 0
        if process(decrypting, frame, count),
            EVP_CIPHER_CTX_ctrl(decrypting, EVP_CTRL_AEAD_SET_TAG, Int32(Frame.tagSize), body + count) == 1,
            EVP_DecryptFinal_ex(decrypting, body + count, &written) == 1
        {
            return true
        }
        ow_wipe(body, count)
        ERR_clear_error()
        return false
    }

    /// Derives the frame's key and iv, gives them to the context and wipes the derivation.
    @inline(__always)
    private func start(_ context: OpaquePointer, _ encrypts: Int32, _ inputs: UnsafeRawPointer, _ counter: UInt64) {
        holdsKey[encrypts == 1 ? 0 : 1] = true
        derivation.derive(from: inputs, counter: counter)
        start(context, encrypts)
        derivation.wipe()
    }

    /// Gives the context the key and iv in the working memory, which is zero outside a derivation.
    @inline(__always)
    private func start(_ context: OpaquePointer, _ encrypts: Int32) {
        let key = derivation.key.assumingMemoryBound(to: UInt8.self)
        let iv = derivation.iv.assumingMemoryBound(to: UInt8.self)
        guard EVP_CipherInit_ex2(context, nil, key, iv, encrypts, nil) == 1 else {
            fatalError("libcrypto refused a frame's key")
        }
    }

    /// Header as additional data, then the body in place.
    @inline(__always)
    private func process(_ context: OpaquePointer, _ frame: UnsafeMutableRawPointer, _ count: Int) -> Bool {
        var written: Int32 = 0
        let header = frame.assumingMemoryBound(to: UInt8.self)
        let body = header + Frame.headerSize
        guard EVP_CipherUpdate(context, nil, &written, header, Int32(Frame.headerSize)) == 1 else { return false }
        return count == 0 || EVP_CipherUpdate(context, body, &written, body, Int32(count)) == 1
    }

    private static func makeContext(encrypting: Bool) -> OpaquePointer {
        guard let context = EVP_CIPHER_CTX_new(),
            EVP_CipherInit_ex2(context, aes256GCM, nil, nil, encrypting ? 1 : 0, nil) == 1
        else { fatalError("libcrypto has no AES-256-GCM") }
        return context
    }
}

/// The sizes of a frame that encoder and decoder work with.
enum Frame {
    static let headerSize = 16
    static let tagSize = 16
    static let longestPlaintext = 65536
    /// Where the header has the frame's counter (u64, big endian).
    static let nonce = 8
}
