// The repository's own answers, made by scripts/vectors.py, which shares no code with this module.

import Foundation
import Testing

@testable import Codec

@Suite("Answers of scripts/vectors.py")
struct OwnVectorTests {
    @Test("HMAC-DRBG: outputs and states agree for inputs of many lengths, with and without reseed")
    func drbg() throws {
        struct File: Decodable {
            struct State: Decodable { let key, v: String }
            struct Step: Decodable {
                let additional, key, v: String
                let reseed, output: String?
            }
            struct Case: Decodable {
                let entropy, nonce, personalization: String
                let instantiated: State
                let steps: [Step]
            }
            let cases: [Case]
        }
        let cases = try KnownAnswers.own("drbg.json", as: File.self).cases
        for (index, entry) in cases.enumerated() {
            var drbg = try HMACDRBG(
                entropy: hex(entry.entropy), nonce: hex(entry.nonce), personalization: hex(entry.personalization))
            #expect(try drbg.key == hex(entry.instantiated.key), "case \(index)")
            #expect(try drbg.v == hex(entry.instantiated.v), "case \(index)")
            for step in entry.steps {
                let additional = try hex(step.additional)
                if let seed = step.reseed {
                    try drbg.reseed(entropy: hex(seed), additionalInput: additional)
                } else {
                    let output = try hex(step.output)
                    #expect(try drbg.generate(output.count, additionalInput: additional) == output, "case \(index)")
                }
                #expect(try drbg.key == hex(step.key), "case \(index)")
                #expect(try drbg.v == hex(step.v), "case \(index)")
            }
        }
        KnownAnswers.report("drbg.json", ran: cases.count)
    }

    private struct Frames: Decodable {
        struct Case: Decodable {
            let entropy, personalization, prefix, counter, header, plaintext: String
            let key, iv, frame, sha256: String?

            func direction() throws -> Direction {
                try Direction(entropy: hex(entropy), personalization: hex(personalization), prefix: hex(prefix))
            }
        }
        let cases: [Case]
        let large: Case
    }

    @Test("Whole frames: what is encoded is the answer, and the answer decodes")
    func frames() throws {
        let cases = try KnownAnswers.own("frames.json", as: Frames.self).cases
        let cipher = FrameCipher()
        for entry in cases {
            let nonce = try #require(UInt64(entry.counter, radix: 16))
            let plaintext = try hex(entry.plaintext)
            let buffer = FrameBuffer(nonce: nonce, plaintext: plaintext)
            try hex(entry.header).withUnsafeBytes { buffer.start.copyMemory(from: $0.baseAddress!, byteCount: 16) }
            var encoders = try entry.direction().encoders(from: nonce)
            let encoder = try encoders.makeEncoder()
            #expect(encoder.nonce == nonce)
            encoder.encode(frame: buffer.start, count: buffer.count, with: cipher)
            #expect(try buffer.frame == hex(entry.frame), "counter \(entry.counter)")

            let received = try FrameBuffer(frame: hex(entry.frame))
            var decoders = try entry.direction().decoders(from: nonce)
            try decoders.makeDecoder(nonce: nonce).decode(frame: received.start, count: received.count, with: cipher)
            #expect(received.body == plaintext, "counter \(entry.counter)")
        }
        KnownAnswers.report("frames.json", ran: cases.count)
    }

    @Test("The longest frame, 65536 plaintext bytes, is the answer")
    func longestFrame() throws {
        let entry = try KnownAnswers.own("frames.json", as: Frames.self).large
        let plaintext = (0..<65536).map { UInt8($0 * 7 % 251) }
        let frame = try entry.direction().frame(plaintext, nonce: #require(UInt64(entry.counter, radix: 16)))
        #expect(try Array(frame.prefix(16)) == hex(entry.header))
        #expect(try SHA256.hash(frame) == hex(entry.sha256))
    }

    @Test("Key and iv of a frame are the answer's")
    func derivation() throws {
        for entry in try KnownAnswers.own("frames.json", as: Frames.self).cases {
            let direction = try entry.direction()
            let inputs = FrameInputs(
                entropy: secret(direction.entropy), personalization: direction.personalization,
                prefix: direction.prefix)
            let counter = try #require(UInt64(entry.counter, radix: 16))
            #expect(try oneShot(inputs, counter: counter) == hex(entry.key) + hex(entry.iv))
        }
    }

    @Test("REKEY: both ends follow the chain through three mixes, counter and prefix going on")
    func rekey() throws {
        struct Chain: Decodable {
            struct Sample: Decodable { let header, plaintext, frame: String }
            struct Link: Decodable {
                let entropy, shared: String
                let frames: [Sample]
            }
            let entropy, personalization, prefix, last: String
            let links: [Link]
        }
        let chain = try KnownAnswers.own("rekey.json", as: Chain.self)
        let direction = try Direction(
            entropy: hex(chain.entropy), personalization: hex(chain.personalization), prefix: hex(chain.prefix))
        var encoders = direction.encoders()
        var decoders = direction.decoders()
        let cipher = FrameCipher()
        for link in chain.links {
            for sample in link.frames {
                let buffer = try FrameBuffer(nonce: encoders.next, plaintext: hex(sample.plaintext))
                #expect(try buffer.header == hex(sample.header))
                try encoders.makeEncoder().encode(frame: buffer.start, count: buffer.count, with: cipher)
                #expect(try buffer.frame == hex(sample.frame))
                try decoders.makeDecoder(nonce: decoders.next).decode(
                    frame: buffer.start, count: buffer.count, with: cipher)
                #expect(try buffer.body == hex(sample.plaintext))
            }
            try encoders.mix(secret(hex(link.shared)))
            try decoders.mix(secret(hex(link.shared)))
        }
        KnownAnswers.report("rekey.json", ran: chain.links.count)
    }

    @Test("HMAC, AES-256-GCM and X25519: every output agrees")
    func primitives() throws {
        struct File: Decodable {
            struct Code: Decodable { let key, message, code: String }
            struct Sealed: Decodable { let key, nonce, aad, plaintext, sealed: String }
            struct Agreement: Decodable { let own, ownPublic, peerPublic, shared: String }
            let hmac: [Code]
            let aead: [Sealed]
            let x25519: [Agreement]
        }
        let file = try KnownAnswers.own("primitives.json", as: File.self)
        for entry in file.hmac {
            #expect(try HMAC.authenticate(key: secret(hex(entry.key)), hex(entry.message)) == hex(entry.code))
        }
        for entry in file.aead {
            let key = try secret(hex(entry.key))
            let nonce = try hex(entry.nonce)
            let aad = try hex(entry.aad)
            let sealed = try hex(entry.sealed)
            #expect(try AEAD.seal(key: key, nonce: nonce, aad: aad, plaintext: hex(entry.plaintext)) == sealed)
            #expect(try AEAD.open(key: key, nonce: nonce, aad: aad, sealed: sealed) == hex(entry.plaintext))
        }
        for entry in file.x25519 {
            let own = try X25519.PrivateKey(secret(hex(entry.own)))
            #expect(try own.publicKey == hex(entry.ownPublic))
            #expect(try own.agree(with: hex(entry.peerPublic)).bytes == hex(entry.shared))
        }
        KnownAnswers.report("primitives.json", ran: file.hmac.count + file.aead.count + file.x25519.count)
    }

    @Test("HKDF: every output agrees")
    func hkdf() throws {
        struct File: Decodable {
            struct Case: Decodable { let salt, ikm, info, okm: String }
            let cases: [Case]
        }
        let cases = try KnownAnswers.own("hkdf.json", as: File.self).cases
        for entry in cases {
            let okm = try hex(entry.okm)
            let salt = try hex(entry.salt)
            let ikm = try hex(entry.ikm)
            let info = try hex(entry.info)
            #expect(try HKDF.derive(salt: salt, ikm: secret(ikm), info: info, count: okm.count).bytes == okm)
            #expect(try HKDF.derive(salt: secret(salt), ikm: secret(ikm), info: info, count: okm.count).bytes == okm)
            #expect(try HKDF.derive(salt: secret(salt), ikm: ikm, info: info, count: okm.count).bytes == okm)
        }
        KnownAnswers.report("hkdf.json", ran: cases.count)
    }
}

/// Key and iv by the one-shot path, 44 bytes.
func oneShot(_ inputs: borrowing FrameInputs, counter: UInt64) -> [UInt8] {
    let scratch = Secret(count: FrameDerivation.scratchSize)
    let derivation = FrameDerivation(scratch: scratch.address)
    derivation.derive(from: inputs.address, counter: counter)
    return Array(UnsafeRawBufferPointer(start: derivation.key, count: 32))
        + Array(UnsafeRawBufferPointer(start: derivation.iv, count: 12))
}
