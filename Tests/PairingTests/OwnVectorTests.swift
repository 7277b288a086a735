// Known answers of this protocol, computed by scripts/vectors_pairing.py, which shares no code with this module.

import Codec
import Foundation
import Testing
import Wire

@testable import Pairing

struct OwnVector: Decodable, Sendable, CustomStringConvertible {
    struct Direction: Decodable, Sendable {
        let frames: [String]
    }

    struct Carrier: Decodable, Sendable {
        let c2s: Direction
        let s2c: Direction
    }

    struct Resume: Decodable, Sendable {
        let epoch: UInt32
        let deviceSalt, serverSalt, deviceEphemeral, serverEphemeral, resume, accept: String
        let carrier: Carrier
    }

    let device, devicePublic, devicePublicText, devicePrivateText, server, serverPublic, serverPublicText: String
    let deviceEphemeral, serverEphemeral, kemSeed, kemCiphertext, kemSharedSecret, psk, conversationID, nonce: String
    let pair, paired, h, ck, rekey: String
    let roots, plaintexts: [String]
    let pairingCarrier: Carrier
    let resumes: [Resume]

    /// The few words test reports show.
    var description: String { "psk \(psk.prefix(8))…" }

    static let all: [OwnVector] = {
        struct File: Decodable { let vectors: [OwnVector] }
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "Vectors/pairing.json")
        guard let content = try? Data(contentsOf: url) else { return [] }
        return (try? JSONDecoder().decode(File.self, from: content))?.vectors ?? []
    }()
}

@Suite("Own vectors")
struct OwnVectorTests {
    private let lifetimes = Lifetimes(epoch: .seconds(900), idle: .seconds(3600), lifetime: .seconds(86400))
    private let start = Moment(milliseconds: 1_800_000_000_000)

    @Test("There are vectors with and without a pre-shared key")
    func present() {
        #expect(Set(OwnVector.all.map { $0.psk == String(repeating: "0", count: 64) }) == [true, false])
    }

    @Test("Both ends of a pairing send the expected bytes and hold the expected values", arguments: OwnVector.all)
    func pairing(_ vector: OwnVector) throws {
        var ends = try pair(vector)
        #expect(try ends.device.conversation.root(of: 0).exposed.hex == vector.roots[0])
        #expect(try ends.server.conversation.root(of: 0).exposed.hex == vector.roots[0])
        #expect(try ends.server.conversation.root(of: 3).exposed.hex == vector.roots[3])
        try check(&ends.device.keys, &ends.server.keys, vector.pairingCarrier, of: vector)
    }

    @Test("Both ends of a resume send the expected bytes and hold the expected values", arguments: OwnVector.all)
    func resume(_ vector: OwnVector) throws {
        var ends = try pair(vector)
        for expected in vector.resumes {
            let now =
                start + lifetimes.epoch * Int(expected.epoch) - .seconds(expected.epoch == 0 ? 0 : 1) + .seconds(1)
            ends.device.conversation.touch(at: now)
            ends.server.conversation.touch(at: now)
            let initiator = try ResumeInitiator(
                conversation: &ends.device.conversation, identity: identity(vector.device), at: now,
                salt: bytes(expected.deviceSalt), ephemeral: privateKey(expected.deviceEphemeral))
            #expect(initiator.message.hex == expected.resume)
            #expect(ends.device.conversation.epoch == expected.epoch)
            #expect(
                try ends.device.conversation.root(of: expected.epoch).exposed.hex == vector.roots[Int(expected.epoch)])

            let received = try ReceivedResume(initiator.message, server: identity(vector.server).publicKey)
            var response = try ResumeResponder.authenticate(
                received, conversation: &ends.server.conversation, at: now
            ).accept(
                identity: identity(vector.server), salt: bytes(expected.serverSalt),
                ephemeral: privateKey(expected.serverEphemeral))
            #expect(response.reply.hex == expected.accept)
            var keys = try initiator.receive(accept: response.reply)
            try check(&keys, &response.keys, expected.carrier, of: vector)
        }
    }

    @Test("Keys have the expected text forms", arguments: OwnVector.all)
    func text(_ vector: OwnVector) throws {
        #expect(try identity(vector.device).publicKey.text == vector.devicePublicText)
        #expect(try PublicKey(text: vector.serverPublicText).bytes.hex == vector.serverPublic)
    }

    @Test("The server recognises the id in the vector and makes ids of its form", arguments: OwnVector.all)
    func conversationID(_ vector: OwnVector) throws {
        let mint = ConversationIDMint(try identity(vector.server))
        #expect(mint.isOurs(ConversationID(bytes: try bytes(vector.conversationID))))
        #expect(mint.isOurs(mint.mint()))
    }

    @Test("The KEM's shared secret is the expected one", arguments: OwnVector.all)
    func kem(_ vector: OwnVector) throws {
        let key = try KEM.DecapsulationKey(seed: bytes(vector.kemSeed))
        #expect(try key.decapsulate(bytes(vector.kemCiphertext)).exposed.hex == vector.kemSharedSecret)
    }

    /// Runs the pairing of the vector and compares the messages.
    private func pair(_ vector: OwnVector) throws -> TestPair {
        let server = try identity(vector.server)
        let initiator = try PairInitiator(
            identity: identity(vector.device), server: server.publicKey, psk: Secret(copying: bytes(vector.psk)),
            ephemerals: Ephemerals(
                dh: privateKey(vector.deviceEphemeral), kem: KEM.DecapsulationKey(seed: bytes(vector.kemSeed))))
        #expect(initiator.message.hex == vector.pair)

        let (ciphertext, shared) = (try bytes(vector.kemCiphertext), try bytes(vector.kemSharedSecret))
        let response = try PairResponder.respond(
            to: initiator.message, identity: server, psk: Secret(copying: bytes(vector.psk)), lifetimes: lifetimes,
            isKnown: { $0.bytes.hex == vector.devicePublic }, at: start,
            fresh: PairResponder.Fresh(
                ephemerals: Ephemerals(dh: privateKey(vector.serverEphemeral)) { _ in
                    KEM.Encapsulation(ciphertext: ciphertext, sharedSecret: Secret(copying: shared))
                },
                id: ConversationID(bytes: bytes(vector.conversationID)),
                nonce: try #require(UInt64(vector.nonce, radix: 16))))
        #expect(response.reply.hex == vector.paired)
        let device = try initiator.receive(response.reply, at: start)
        return TestPair(device: device, server: response.paired)
    }

    /// Compares what each end sends with the vector, lets the other end read it, and rekeys before the third frame.
    private func check(
        _ device: inout CarrierKeys, _ server: inout CarrierKeys, _ expected: OwnVector.Carrier, of vector: OwnVector
    ) throws {
        for (index, plaintext) in try vector.plaintexts.map(bytes).enumerated() {
            if index == 2 {
                let shared = Secret(copying: try bytes(vector.rekey))
                device.sending.mix(shared)
                device.receiving.mix(shared)
                server.sending.mix(shared)
                server.receiving.mix(shared)
            }
            let there = try device.sending.frame(.data, plaintext)
            #expect(there.hex == expected.c2s.frames[index])
            #expect(try server.receiving.plaintext(of: there) == plaintext)
            let back = try server.sending.frame(.data, plaintext)
            #expect(back.hex == expected.s2c.frames[index])
            #expect(try device.receiving.plaintext(of: back) == plaintext)
        }
    }

    private func bytes(_ hex: String) throws -> [UInt8] { try #require([UInt8](hex: hex)) }

    private func privateKey(_ hex: String) throws -> X25519.PrivateKey {
        X25519.PrivateKey(Secret(copying: try bytes(hex)))
    }

    private func identity(_ hex: String) throws -> Identity { Identity(privateKey: try privateKey(hex)) }
}
