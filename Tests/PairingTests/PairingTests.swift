// A device and a server back to back: what a good pairing gives, and who is refused.

import Codec
import Synchronization
import Testing
import Wire

@testable import Pairing

@Suite("Pairing")
struct PairingTests {
    private let ends = TestEnds(
        lifetimes: Lifetimes(epoch: .seconds(60), idle: .seconds(600), lifetime: .seconds(6000)))

    @Test("A good pairing gives both ends the same conversation and keys that cross")
    func good() throws {
        var pair = try ends.pair()
        #expect(try understandEachOther(&pair.device.keys, &pair.server.keys))
        #expect(try understandEachOther(&pair.server.keys, &pair.device.keys))

        #expect(pair.device.conversation.id == pair.server.conversation.id)
        #expect(ConversationIDMint(ends.server).isOurs(pair.device.conversation.id))
        #expect(pair.device.conversation.device == ends.device.publicKey)
        #expect(pair.server.conversation.device == ends.device.publicKey)
        #expect(pair.device.conversation.server == ends.server.publicKey)
        #expect(pair.server.conversation.server == ends.server.publicKey)
        #expect(pair.device.conversation.lifetimes == ends.lifetimes)
        #expect(pair.device.conversation.epoch == 0 && pair.server.conversation.epoch == 0)
        let device = try pair.device.conversation.root(of: 0)
        let server = try pair.server.conversation.root(of: 0)
        #expect(device.exposed == server.exposed)
    }

    @Test("Two pairings of the same two ends share nothing")
    func fresh() throws {
        var first = try ends.pair()
        var second = try ends.pair()
        #expect(first.device.conversation.id != second.device.conversation.id)
        let frame = try first.device.keys.sending.frame(.data, [1, 2, 3])
        #expect(try frame != second.device.keys.sending.frame(.data, [1, 2, 3]))
        #expect(throws: CodecError.notAuthentic) { try second.server.keys.receiving.plaintext(of: frame) }
    }

    @Test("The two directions never share a starting point: a reflected frame is refused")
    func reflectedFrame() throws {
        var pair = try ends.pair()
        let frame = try pair.device.keys.sending.frame(.confirm, [])
        #expect(throws: CodecError.notAuthentic) { try pair.device.keys.receiving.plaintext(of: frame) }
    }

    @Test("Messages have the lengths and preambles of the protocol, and neither identity in clear")
    func form() throws {
        let initiator = try ends.initiate()
        let pair = initiator.message
        let paired = try ends.respond(to: pair).reply
        #expect(pair.count == 1324 && pair.starts(with: [0x4F, 0x57, 1, 1]))
        #expect(paired.count == 1196 && paired.starts(with: [0x4F, 0x57, 1, 2]))
        for key in [ends.device.publicKey.bytes, ends.server.publicKey.bytes] {
            for message in [pair, paired] {
                #expect(!message.indices.contains { message[$0...].starts(with: key) })
            }
        }
    }

    @Test("A client with the key of another server has no valid mac and is refused")
    func wrongServer() throws {
        let other = Identity.generate()
        let pair = try PairInitiator(identity: ends.device, server: other.publicKey).message
        #expect(PairResponder.hasValidMac(pair, server: other.publicKey))
        #expect(!PairResponder.hasValidMac(pair, server: ends.server.publicKey))
        #expect(refusal { () throws(PairingError) in try ends.respond(to: pair) } == .peer(.wrongMac))
        // Nor does it help to learn the key for the mac only.
        let repaired = ends.withValidMac(pair)
        #expect(PairResponder.hasValidMac(repaired, server: ends.server.publicKey))
        #expect(refusal { () throws(PairingError) in try ends.respond(to: repaired) } == .peer(.notAuthentic))
    }

    @Test("A device that is not configured is refused by its key, before any encapsulation")
    func unknownDevice() throws {
        let stranger = Identity.generate()
        let pair = try PairInitiator(identity: stranger, server: ends.server.publicKey).message
        #expect(
            refusal { () throws(PairingError) in try ends.respond(to: pair) }
                == .peer(.unknownDevice(stranger.publicKey)))

        let encapsulations = Atomic(0)
        let error = refusal { () throws(PairingError) in
            try PairResponder.respond(
                to: pair, identity: ends.server, psk: nil, lifetimes: ends.lifetimes, isKnown: { _ in false },
                at: ends.start,
                fresh: PairResponder.Fresh(
                    ephemerals: Ephemerals { (key) throws(KEMError) in
                        encapsulations.add(1, ordering: .relaxed)
                        return try KEM.encapsulate(to: key)
                    }, id: ConversationIDMint(ends.server).mint()))
        }
        #expect(error == .peer(.unknownDevice(stranger.publicKey)))
        #expect(encapsulations.load(ordering: .relaxed) == 0)
    }

    @Test("Ends with the same pre-shared key pair; with different ones the device refuses", arguments: [true, false])
    func preSharedKey(isSame: Bool) throws {
        let key = [UInt8](garbage: 1, count: 32)
        let initiator = try ends.initiate(psk: Secret(copying: key))
        let response = try ends.respond(
            to: initiator.message, psk: isSame ? Secret(copying: key) : Secret(copying: key.flipping(bit: 0, of: 31)))
        let reply = response.reply
        if isSame {
            var device = try initiator.receive(reply, at: ends.start)
            var server = response.paired
            #expect(try understandEachOther(&device.keys, &server.keys))
        } else {
            let start = ends.start
            let error = refusalOf(initiator, reply, at: start)
            #expect(error == .peer(.notAuthentic))
        }
    }

    @Test("Messages sent back to who made them are refused")
    func reflected() throws {
        let initiator = try ends.initiate()
        let pair = initiator.message
        let paired = try ends.respond(to: pair).reply
        #expect(
            refusalOf(initiator, pair, at: ends.start) == .peer(.malformed(.unexpectedHandshakeKind(.pair))))
        #expect(
            refusal { () throws(PairingError) in try ends.respond(to: paired) }
                == .peer(.malformed(.unexpectedHandshakeKind(.paired))))
    }

    @Test("PAIRED for another initiator is refused, though it is the same device and server")
    func replayedPaired() throws {
        let recorded = try ends.respond(to: ends.initiate().message).reply
        #expect(refusalOf(try ends.initiate(), recorded, at: ends.start) == .peer(.notAuthentic))
    }

    @Test("PAIR replayed to the server gives another conversation each time, and the recorder none of its keys")
    func replayedPair() throws {
        let initiator = try ends.initiate()
        var first = try ends.respond(to: initiator.message)
        var second = try ends.respond(to: initiator.message)
        #expect(first.paired.conversation.id != second.paired.conversation.id)
        let device = try initiator.receive(first.reply, at: ends.start)
        var keys = device.keys
        #expect(try understandEachOther(&keys, &first.paired.keys))
        let frame = try keys.sending.frame(.data, [1])
        #expect(throws: (any Error).self) { try second.paired.keys.receiving.plaintext(of: frame) }
    }

    @Test("A REKEY mixed in on both ends goes on, on one end only it does not")
    func rekey() throws {
        var pair = try ends.pair()
        #expect(try understandEachOther(&pair.device.keys, &pair.server.keys))
        let a = X25519.PrivateKey()
        let b = X25519.PrivateKey()
        let ab = try a.agree(with: b.publicKey)
        let ba = try b.agree(with: a.publicKey)
        pair.device.keys.sending.mix(ab)
        pair.device.keys.receiving.mix(ab)
        pair.server.keys.sending.mix(ba)
        pair.server.keys.receiving.mix(ba)
        #expect(try understandEachOther(&pair.device.keys, &pair.server.keys))

        pair.device.keys.sending.mix(ab)
        let frame = try pair.device.keys.sending.frame(.data, [1])
        #expect(throws: CodecError.notAuthentic) { try pair.server.keys.receiving.plaintext(of: frame) }
    }

    @Test("Lifetimes of zero seconds from a server are refused, and lifetimes are whole seconds")
    func lifetimes() {
        let id = [UInt8](repeating: 0, count: 16)
        for zero in 0..<3 {
            let values = (0..<3).map { $0 == zero ? UInt32(0) : 5 }
            let payload = PairedPayload(
                conversationID: id, nonce: 0, epochSeconds: values[0], idleSeconds: values[1],
                lifetimeSeconds: values[2])
            #expect(Lifetimes(payload) == nil)
        }
        #expect(
            Lifetimes(epoch: .milliseconds(1), idle: .milliseconds(1500), lifetime: .seconds(-3))
                == Lifetimes(epoch: .seconds(1), idle: .seconds(2), lifetime: .seconds(1)))
        #expect(Lifetimes(lifetime: .seconds(Int64.max)).lifetime == .seconds(UInt32.max))
    }

    @Test("A value crosses threads once")
    func handoff() async throws {
        let pair = try ends.pair()
        let handoff = Handoff(pair.server)
        async let taken = withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 { group.addTask { handoff.take() != nil } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(await taken == 1)
        let isEmpty = handoff.take() == nil
        #expect(isEmpty)
    }

    @Test("A server recognises its own conversation ids only")
    func conversationIDs() {
        let mint = ConversationIDMint(ends.server)
        let id = mint.mint()
        #expect(mint.isOurs(id))
        #expect(mint.mint() != id)
        #expect(ConversationIDMint(ends.server).isOurs(id), "recognised after a restart")
        #expect(!ConversationIDMint(ends.device).isOurs(id))
        for byte in 0..<16 {
            #expect(!mint.isOurs(ConversationID(bytes: id.bytes.flipping(bit: byte % 8, of: byte))))
        }
    }
}

/// The error of an initiator that receives `paired`.
func refusalOf(
    _ initiator: consuming PairInitiator, _ paired: [UInt8], at now: Moment
) -> PairingError? {
    do throws(PairingError) {
        _ = try initiator.receive(paired, at: now)
        return nil
    } catch { return error }
}
