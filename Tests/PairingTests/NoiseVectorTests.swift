// Known answers: the cacophony vectors (as shipped with snow), byte for byte, with the KEM left out.

import Codec
import Foundation
import Testing

@testable import Pairing

/// One published handshake with its transport messages.
struct NoiseVector: Decodable, Sendable, CustomTestStringConvertible {
    struct Message: Decodable, Sendable {
        let payload: String
        let ciphertext: String
    }

    let protocolName: String
    let initPrologue: String
    let initPsks: [String]?
    let initStatic: String?
    let initEphemeral: String
    let initRemoteStatic: String?
    let respPrologue: String
    let respPsks: [String]?
    let respStatic: String?
    let respEphemeral: String?
    let respRemoteStatic: String?
    let handshakeHash: String?
    let messages: [Message]

    var testDescription: String { protocolName }

    /// Every vector of the file; empty if the vectors are not there, which one test reports.
    static let all: [NoiseVector] = {
        struct File: Decodable { let vectors: [NoiseVector] }
        guard let content = try? Data(contentsOf: url) else { return [] }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (try? decoder.decode(File.self, from: content))?.vectors ?? []
    }()

    /// Whether the file of vectors exists; one that cannot be read is a failure, not a reason to skip.
    static var areThere: Bool { FileManager.default.fileExists(atPath: url.path) }

    private static let url: URL = {
        let folder =
            ProcessInfo.processInfo.environment["ONCEWIRE_VECTORS"].map { URL(fileURLWithPath: $0) }
            ?? URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../shared/vectors").standardizedFileURL
        return folder.appendingPathComponent("noise/25519_AESGCM_SHA256.json")
    }()
}

@Suite("Published Noise vectors")
struct NoiseVectorTests {
    @Test(
        "The handshake this protocol builds on is among the vectors that run",
        .enabled(if: NoiseVector.areThere, "ONCEWIRE_VECTORS names no folder with the published vectors"))
    func coverage() {
        let runnable = NoiseVector.all.filter { HandshakePattern(protocolName: $0.protocolName) != nil }
        #expect(
            runnable.contains { $0.protocolName == "Noise_IKpsk2_25519_AESGCM_SHA256" },
            "\(NoiseVector.all.count) vectors, of which \(runnable.count) run (ONCEWIRE_VECTORS names their folder)")
    }

    @Test("Oncewire's handshake without the KEM and its name is IKpsk2")
    func withoutKEM() throws {
        let plain = try #require(HandshakePattern(protocolName: "Noise_IKpsk2_25519_AESGCM_SHA256"))
        let own = HandshakePattern.oncewire
        #expect(own.messages.map { $0.filter { $0 != .e1 && $0 != .ekem1 } } == plain.messages)
        #expect(own.knowsResponder == plain.knowsResponder && own.knowsInitiator == plain.knowsInitiator)
    }

    @Test("Handshake, hash and transport messages are byte for byte the published ones", arguments: NoiseVector.all)
    func replay(_ vector: NoiseVector) throws {
        guard let pattern = HandshakePattern(protocolName: vector.protocolName) else { return }
        var initiator = try end(.initiator, of: vector, pattern)
        var responder = try end(.responder, of: vector, pattern)

        for (index, message) in vector.messages.prefix(pattern.messages.count).enumerated() {
            let payload = try #require([UInt8](hex: message.payload))
            let isInitiators = index.isMultiple(of: 2)
            let written = try isInitiators ? initiator.write(payload: payload) : responder.write(payload: payload)
            #expect(written.hex == message.ciphertext)
            let read = try isInitiators ? responder.read(written) : initiator.read(written)
            #expect(read == payload)
        }
        #expect(initiator.hash == responder.hash)
        if let hash = vector.handshakeHash { #expect(initiator.hash.hex == hash) }

        var here = try initiator.split()
        var there = try responder.split()
        let isOneWay = pattern.messages.count == 1
        for (index, message) in vector.messages.enumerated().dropFirst(pattern.messages.count) {
            let payload = try #require([UInt8](hex: message.payload))
            if isOneWay || index.isMultiple(of: 2) {
                let written = try here.fromInitiator.encrypt(payload, ad: [])
                #expect(written.hex == message.ciphertext)
                #expect(try there.fromInitiator.decrypt(written, ad: []) == payload)
            } else {
                let written = try there.fromResponder.encrypt(payload, ad: [])
                #expect(written.hex == message.ciphertext)
                #expect(try here.fromResponder.decrypt(written, ad: []) == payload)
            }
        }
    }

    private func end(
        _ role: HandshakeRole, of vector: NoiseVector, _ pattern: HandshakePattern
    ) throws -> HandshakeState {
        let isInitiator = role == .initiator
        let own = isInitiator ? vector.initStatic : vector.respStatic
        let remote = isInitiator ? vector.initRemoteStatic : vector.respRemoteStatic
        let psk = (isInitiator ? vector.initPsks : vector.respPsks)?.first
        let ephemeral = isInitiator ? vector.initEphemeral : vector.respEphemeral
        let key = try psk.map { try #require([UInt8](hex: $0)) }
        return HandshakeState(
            pattern, role: role,
            prologue: try #require([UInt8](hex: isInitiator ? vector.initPrologue : vector.respPrologue)),
            identity: try own.map { Identity(privateKey: try privateKey($0)) },
            remoteStatic: try remote.map { try #require([UInt8](hex: $0)) },
            psk: key == nil ? nil : Secret(copying: key!),
            ephemerals: Ephemerals(dh: try ephemeral == nil ? X25519.PrivateKey() : privateKey(ephemeral!)))
    }

    private func privateKey(_ hex: String) throws -> X25519.PrivateKey {
        X25519.PrivateKey(Secret(copying: try #require([UInt8](hex: hex))))
    }
}
