// Plain uses of the primitives that no published set covers.

import COpenSSL
import Testing

@testable import Codec

@Suite("Primitives")
struct PrimitiveTests {
    @Test("SHA-256 of parts is that of the whole (FIPS 180-4, \"abc\")")
    func sha256() throws {
        let answer = try hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(SHA256.hash(Array("abc".utf8)) == answer)
        #expect(SHA256.hash([0x61], [], [0x62, 0x63]) == answer)
    }

    @Test("Both ends of X25519 agree, and a key is the same after saving")
    func x25519() throws {
        let alice = X25519.PrivateKey()
        let bob = X25519.PrivateKey()
        #expect(try alice.agree(with: bob.publicKey).bytes == bob.agree(with: alice.publicKey).bytes)
        #expect(X25519.PrivateKey().publicKey != bob.publicKey)
        bob.withSecret { raw in #expect(X25519.PrivateKey(raw.copy()).publicKey == bob.publicKey) }
        bob.withUnsafeBytes { raw in #expect(X25519.PrivateKey(Secret(copying: raw)).publicKey == bob.publicKey) }
    }

    @Test("A peer key of low order or of the wrong length is refused, and libcrypto's error queue stays empty")
    func weakKeys() throws {
        let own = X25519.PrivateKey()
        let one: [UInt8] = [1] + Array(repeating: 0, count: 31)
        for weak in [Array(repeating: 0, count: 32), one] {
            #expect(throws: CodecError.weakPublicKey) { _ = try own.agree(with: weak).count }
            #expect(ERR_peek_error() == 0)
        }
        for length in [0, 31, 33] {
            #expect(throws: CodecError.lengthOutOfRange) {
                _ = try own.agree(with: Array(repeating: 9, count: length)).count
            }
        }
    }

    @Test("A message that was changed, cut or bound to other data does not open, and leaves no error behind")
    func forgedMessages() throws {
        let key = Secret.random(count: 32)
        let nonce = RandomBytes.bytes(12)
        let sealed = AEAD.seal(key: key, nonce: nonce, aad: [1], plaintext: [7, 8])
        #expect(try AEAD.open(key: key, nonce: nonce, aad: [1], sealed: sealed) == [7, 8])
        #expect(throws: CodecError.notAuthentic) { try AEAD.open(key: key, nonce: nonce, aad: [2], sealed: sealed) }
        #expect(throws: CodecError.notAuthentic) { try AEAD.open(key: key, nonce: nonce, aad: [], sealed: sealed) }
        #expect(throws: CodecError.notAuthentic) {
            try AEAD.open(key: key, nonce: nonce, aad: [1], sealed: Array(sealed.dropLast()))
        }
        #expect(throws: CodecError.lengthOutOfRange) {
            try AEAD.open(key: key, nonce: nonce, aad: [1], sealed: Array(repeating: 0, count: 15))
        }
        #expect(ERR_peek_error() == 0)
        let empty = AEAD.seal(key: key, nonce: nonce, aad: [], plaintext: [])
        #expect(empty.count == AEAD.tagSize)
        #expect(try AEAD.open(key: key, nonce: nonce, aad: [], sealed: empty).isEmpty)
    }

    @Test("HKDF gives up to 8160 bytes and refuses more or less than nothing")
    func hkdfLimits() throws {
        let ikm = secret([1])
        #expect(try HKDF.derive(salt: [], ikm: ikm, info: [], count: 0).count == 0)
        #expect(try HKDF.derive(salt: [], ikm: ikm, info: [], count: HKDF.longest).count == HKDF.longest)
        for count in [-1, HKDF.longest + 1] {
            #expect(throws: CodecError.lengthOutOfRange) {
                _ = try HKDF.derive(salt: [], ikm: ikm, info: [], count: count).count
            }
        }
    }

    @Test("Constant-time equality is equality")
    func equality() {
        #expect(constantTimeEqual([], []))
        #expect(constantTimeEqual([1, 2], [1, 2]))
        #expect(!constantTimeEqual([1, 2], [1, 3]))
        #expect(!constantTimeEqual([1, 2], [0, 2]))
        #expect(!constantTimeEqual([1], [1, 2]))
    }

    @Test("Public randomness has the length asked for and does not repeat")
    func randomBytes() {
        #expect(RandomBytes.bytes(0).isEmpty)
        #expect(RandomBytes.bytes(33).count == 33)
        #expect(RandomBytes.bytes(16) != RandomBytes.bytes(16))
    }
}
