// Project Wycheproof's answers, edge cases and forgeries among them.

import Foundation
import Testing

@testable import Codec

@Suite("Wycheproof")
struct WycheproofTests {
    /// Fields of all test types in one; what a type does not have is nil.
    private struct File: Decodable {
        struct Group: Decodable { let tests: [Case] }
        struct Case: Decodable {
            let tcId: Int
            let result: String
            let key, iv, aad, msg, ct, tag: String?
            let `public`, `private`, shared: String?
            let ikm, salt, info, okm: String?
            let size: Int?
        }
        let testGroups: [Group]
    }

    /// Runs `check` on all cases of a file; it returns false for a case that is not for us.
    private func run(_ name: String, _ check: (File.Case) throws -> Bool) throws {
        guard let data = try KnownAnswers.published(name) else { return }
        let cases = try JSONDecoder().decode(File.self, from: data).testGroups.flatMap(\.tests)
        let ran = try cases.count { try check($0) }
        KnownAnswers.report(name, ran: ran, skipped: cases.count - ran)
    }

    @Test("AES-256-GCM with 96-bit iv and 128-bit tag: right tags open, forged ones do not")
    func aesGCM() throws {
        try run("wycheproof/aes_gcm_test.json") { entry in
            let key = try hex(entry.key)
            let iv = try hex(entry.iv)
            let tag = try hex(entry.tag)
            guard key.count == 32, iv.count == 12, tag.count == 16 else { return false }
            let aad = try hex(entry.aad)
            let message = try hex(entry.msg)
            let sealed = try hex(entry.ct) + tag
            if entry.result == "invalid" {
                #expect(throws: CodecError.notAuthentic, "tcId \(entry.tcId)") {
                    try AEAD.open(key: secret(key), nonce: iv, aad: aad, sealed: sealed)
                }
            } else {
                #expect(
                    AEAD.seal(key: secret(key), nonce: iv, aad: aad, plaintext: message) == sealed, "tcId \(entry.tcId)"
                )
                #expect(
                    try AEAD.open(key: secret(key), nonce: iv, aad: aad, sealed: sealed) == message,
                    "tcId \(entry.tcId)")
            }
            return true
        }
    }

    @Test("X25519: every result agrees, and an all-zero one is refused")
    func x25519() throws {
        try run("wycheproof/x25519_test.json") { entry in
            let raw = try hex(entry.private)
            guard raw.count == 32 else { return false }
            let peer = try hex(entry.public)
            let shared = try hex(entry.shared)
            let own = X25519.PrivateKey(secret(raw))
            let result: [UInt8]?
            do throws(CodecError) {
                result = try own.agree(with: peer).bytes
            } catch {
                #expect(error == (peer.count == 32 ? .weakPublicKey : .lengthOutOfRange), "tcId \(entry.tcId)")
                result = nil
            }
            if entry.result == "invalid" || peer.count != 32 || shared.allSatisfy({ $0 == 0 }) {
                #expect(result == nil, "tcId \(entry.tcId)")
            } else {
                #expect(result == shared, "tcId \(entry.tcId)")
            }
            return true
        }
    }

    @Test("HKDF-SHA-256: every output agrees, and too long a one is refused")
    func hkdf() throws {
        try run("wycheproof/hkdf_sha256_test.json") { entry in
            let okm = try hex(entry.okm)
            let result: [UInt8]?
            do throws(CodecError) {
                let salt = bytes(hex: entry.salt ?? "") ?? []
                let ikm = bytes(hex: entry.ikm ?? "") ?? []
                let info = bytes(hex: entry.info ?? "") ?? []
                result = try HKDF.derive(salt: salt, ikm: secret(ikm), info: info, count: entry.size ?? okm.count).bytes
            } catch {
                #expect(error == .lengthOutOfRange, "tcId \(entry.tcId)")
                result = nil
            }
            #expect(result == (entry.result == "invalid" ? nil : okm), "tcId \(entry.tcId)")
            return true
        }
    }

    @Test("HMAC-SHA-256: right codes agree, modified ones do not, under secret and public keys")
    func hmac() throws {
        try run("wycheproof/hmac_sha256_test.json") { entry in
            let key = try hex(entry.key)
            let tag = try hex(entry.tag)
            guard !tag.isEmpty, tag.count <= 32 else { return false }
            let message = try hex(entry.msg)
            let half = message.count / 2
            let code = HMAC.authenticate(key: secret(key), Array(message[..<half]), Array(message[half...]))
            #expect(code == HMAC.authenticate(publicKey: key, message), "tcId \(entry.tcId)")
            #expect(
                constantTimeEqual(Array(code.prefix(tag.count)), tag) == (entry.result != "invalid"),
                "tcId \(entry.tcId)")
            return true
        }
    }
}
