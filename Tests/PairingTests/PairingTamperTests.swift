// Bytes changed on the way, cut short, made longer or made up: refused, every one, and nothing crashes.

import Codec
import Testing
import Wire

@testable import Pairing

@Suite("Tampering with a pairing")
struct PairingTamperTests {
    private let ends = TestEnds()
    private let dh = [UInt8](garbage: 2, count: 32)
    private let kem = [UInt8](garbage: 3, count: 64)

    /// An initiator that can be made again: receiving consumes it.
    private func initiator() throws -> PairInitiator {
        try PairInitiator(
            identity: ends.device, server: ends.server.publicKey, psk: nil,
            ephemerals: Ephemerals(dh: X25519.PrivateKey(Secret(copying: dh)), kem: KEM.DecapsulationKey(seed: kem)))
    }

    @Test("Any change to a byte of PAIR fails its mac")
    func pairMac() throws {
        let pair = try initiator().message
        for byte in pair.indices {
            let changed = pair.flipping(bit: byte % 8, of: byte)
            #expect(!PairResponder.hasValidMac(changed, server: ends.server.publicKey))
            #expect(refusal { () throws(PairingError) in try ends.respond(to: changed) } != nil, "byte \(byte)")
        }
    }

    @Test("Any change to a byte of PAIR is refused even if its mac is made right again")
    func pair() throws {
        let pair = try initiator().message
        for byte in pair.indices.dropLast(16) {
            let changed = ends.withValidMac(pair.flipping(bit: byte % 8, of: byte))
            #expect(refusal { () throws(PairingError) in try ends.respond(to: changed) } != nil, "byte \(byte)")
        }
        #expect(refusal { () throws(PairingError) in try ends.respond(to: ends.withValidMac(pair)) } == nil)
    }

    @Test("Any change to a byte of PAIRED is refused")
    func paired() throws {
        let paired = try ends.respond(to: initiator().message).reply
        for byte in paired.indices {
            let changed = paired.flipping(bit: byte % 8, of: byte)
            #expect(refusalOf(try initiator(), changed, at: ends.start) != nil, "byte \(byte)")
        }
        #expect(refusalOf(try initiator(), paired, at: ends.start) == nil)
    }

    @Test("Messages of any other length are refused")
    func lengths() throws {
        let pair = try initiator().message
        let paired = try ends.respond(to: pair).reply
        for count in 0..<pair.count {
            let cut = [UInt8](pair[..<count])
            #expect(!PairResponder.hasValidMac(cut, server: ends.server.publicKey))
            #expect(refusal { () throws(PairingError) in try ends.respond(to: cut) } != nil)
            let recut = count < 16 ? cut : ends.withValidMac(cut)
            #expect(!PairResponder.hasValidMac(recut, server: ends.server.publicKey))
            #expect(refusal { () throws(PairingError) in try ends.respond(to: recut) } != nil)
        }
        for count in 0..<paired.count {
            #expect(refusalOf(try initiator(), [UInt8](paired[..<count]), at: ends.start) != nil)
        }
        for extra in 1...20 {
            let tail = [UInt8](repeating: 0, count: extra)
            #expect(refusal { () throws(PairingError) in try ends.respond(to: ends.withValidMac(pair + tail)) } != nil)
            #expect(refusalOf(try initiator(), paired + tail, at: ends.start) != nil)
        }
    }

    @Test("Garbage is refused, with the right preamble and mac as well")
    func garbage() throws {
        for seed in 0..<200 as Range<UInt64> {
            let noise = [UInt8](garbage: seed, count: PairMessage.noiseSize)
            let pair = PairMessage(noise: noise) { Mac1.code(of: $0, server: ends.server.publicKey) }.bytes
            #expect(refusal { () throws(PairingError) in try ends.respond(to: pair) } != nil)
            let paired = PairedMessage(noise: [UInt8](garbage: seed, count: PairedMessage.noiseSize)).bytes
            #expect(refusalOf(try initiator(), paired, at: ends.start) != nil)
            let short = [UInt8](garbage: seed, count: Int(seed))
            #expect(refusal { () throws(PairingError) in try ends.respond(to: short) } != nil)
            #expect(refusalOf(try initiator(), short, at: ends.start) != nil)
        }
    }

    @Test(
        "An ephemeral key of low order is refused",
        arguments: [[UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31)])
    func lowOrder(point: [UInt8]) throws {
        // The encapsulation key is sealed under a key that follows from public values, so an attacker gets as far as the
        // first key agreement.
        let pair = try malicious(
            ephemeral: point, encapsulationKey: KEM.DecapsulationKey(seed: kem).encapsulationKey)
        #expect(refusal { () throws(PairingError) in try ends.respond(to: pair) } == .peer(.weakPublicKey))

        var paired = try ends.respond(to: initiator().message).reply
        paired.replaceSubrange(4..<36, with: point)
        #expect(refusalOf(try initiator(), paired, at: ends.start) == .peer(.weakPublicKey))
    }

    @Test("An ML-KEM key with a coefficient of q or more is refused, one of q - 1 is not")
    func nonCanonicalKEM() throws {
        // 12 bits a coefficient, little endian: the first is byte 0 and the low half of byte 1 (FIPS 203 §4.2.1).
        let good = try KEM.DecapsulationKey(seed: kem).encapsulationKey
        let keys = [3328, 3329, 4095].map { (q: Int) in
            [UInt8(q & 0xFF), good[1] & 0xF0 | UInt8(q >> 8)] + good[2...]
        }
        #expect(throws: Never.self) { _ = try KEM.encapsulate(to: keys[0]) }
        #expect(throws: KEMError.invalidEncapsulationKey) { _ = try KEM.encapsulate(to: keys[1]) }
        #expect(throws: KEMError.invalidEncapsulationKey) { _ = try KEM.encapsulate(to: keys[2]) }
        for count in [0, 1183, 1185] {
            #expect(throws: KEMError.invalidEncapsulationKey) {
                _ = try KEM.encapsulate(to: [UInt8](repeating: 0, count: count))
            }
        }
        // The same within a PAIR that is authentic in every other way.
        for (key, expected) in zip(
            keys, [nil, .invalidEncapsulationKey, .invalidEncapsulationKey] as [PairingError.PeerFault?])
        {
            let pair = try malicious(ephemeral: nil, encapsulationKey: key)
            #expect(refusal { () throws(PairingError) in try ends.respond(to: pair) } == expected.map { .peer($0) })
        }
    }

    @Test("A PAIR payload with an unknown pattern or reserved bits is refused", arguments: 0..<8)
    func payload(byte: Int) throws {
        let payload = PairPayload(pattern: .conversationOnceAndDone).bytes.flipping(bit: 3, of: byte)
        let pair = try malicious(
            ephemeral: nil, encapsulationKey: KEM.DecapsulationKey(seed: kem).encapsulationKey, payload: payload)
        let expected: WireError = byte == 0 ? .unknownPattern(9) : .reservedNotZero
        #expect(refusal { () throws(PairingError) in try ends.respond(to: pair) } == .peer(.malformed(expected)))
    }

    /// A PAIR by the configured device that follows the handshake except for what is given. A low-order `ephemeral`
    /// has no private key: its first key agreement is taken as all zero, as the server would if it did not refuse.
    private func malicious(
        ephemeral: [UInt8]?, encapsulationKey: [UInt8],
        payload: [UInt8] = PairPayload(pattern: .conversationOnceAndDone).bytes
    ) throws -> [UInt8] {
        let own = X25519.PrivateKey(Secret(copying: dh))
        let server = ends.server.publicKey.bytes
        var symmetric = SymmetricState(protocolName: [UInt8](HandshakePattern.oncewire.protocolName.utf8))
        symmetric.mixHash(Handshake.prologue)
        symmetric.mixHash(HandshakeMessage.preamble(of: .pair))
        symmetric.mixHash(server)
        let e = ephemeral ?? own.publicKey
        var noise = e
        symmetric.mixHash(e)
        try symmetric.mixKey(e)
        noise += try symmetric.encryptAndHash(encapsulationKey)
        try symmetric.mixKey(ephemeral == nil ? own.agree(with: server) : Secret(count: 32))
        noise += try symmetric.encryptAndHash(ends.device.publicKey.bytes)
        try symmetric.mixKey(ends.device.privateKey.agree(with: server))
        noise += try symmetric.encryptAndHash(payload)
        return PairMessage(noise: noise) { Mac1.code(of: $0, server: ends.server.publicKey) }.bytes
    }
}
