// The server's end of a pairing: one PAIR in, one PAIRED out. Stateless: what it makes is stored only when CONFIRM
// shows that the client has the same keys.

package import Codec
internal import Wire

package enum PairResponder {
    /// Whether PAIR comes from somebody who knows this server's public key. Costs two hashes: to be asked before the
    /// message is worth anything more. False for anything that is not 1324 bytes long.
    package static func hasValidMac(_ pair: [UInt8], server: PublicKey) -> Bool {
        Mac1.isValid(pair, count: PairMessage.size, server: server)
    }

    /// Reads PAIR and makes PAIRED. `isKnown` is asked about the device once it has proved who it is, and before the
    /// server spends an encapsulation on it. `psk` is 32 bytes, all zero if not given. On any error the caller closes
    /// without a word.
    package static func respond(
        to pair: [UInt8], identity: Identity, psk: consuming Secret? = nil, mint: ConversationIDMint,
        lifetimes: Lifetimes, isKnown: (PublicKey) -> Bool, at now: Moment
    ) throws(PairingError) -> PairResponse {
        try respond(
            to: pair, identity: identity, psk: psk, lifetimes: lifetimes, isKnown: isKnown, at: now,
            fresh: Fresh(ephemerals: Ephemerals(), id: mint.mint()))
    }

    /// What the server chooses afresh for every pairing.
    struct Fresh: ~Copyable {
        let ephemerals: Ephemerals
        let id: ConversationID
        let nonce: UInt64

        init(
            ephemerals: consuming Ephemerals, id: ConversationID,
            nonce: UInt64 = RandomBytes.bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
        ) {
            self.ephemerals = ephemerals
            self.id = id
            self.nonce = nonce
        }
    }

    /// The same with chosen values, for known answers.
    static func respond(
        to pair: [UInt8], identity: Identity, psk: consuming Secret?, lifetimes: Lifetimes,
        isKnown: (PublicKey) -> Bool, at now: Moment, fresh: consuming Fresh
    ) throws(PairingError) -> PairResponse {
        let message = try parsing { () throws(WireError) in try PairMessage(parsing: pair) }
        guard hasValidMac(pair, server: identity.publicKey) else { throw .peer(.wrongMac) }
        let id = fresh.id
        let nonce = fresh.nonce
        var handshake = HandshakeState(
            .oncewire, role: .responder, prologue: Handshake.prologue, context: message.preamble,
            identity: identity, remoteStatic: nil, psk: psk ?? Secret(count: Handshake.pskSize),
            ephemerals: fresh.ephemerals)

        let bytes = try reading { () throws(HandshakeError) in try handshake.read(message.noise) }
        _ = try parsing { () throws(WireError) in try PairPayload(parsing: bytes) }
        guard let remoteStatic = handshake.remoteStatic else { throw .peer(.notAuthentic) }
        let device = PublicKey(bytes: remoteStatic)
        guard isKnown(device) else { throw .peer(.unknownDevice(device)) }

        handshake.mixHash(HandshakeMessage.preamble(of: .paired))
        let payload = PairedPayload(id: id, nonce: nonce, lifetimes: lifetimes).bytes
        let reply = try reading { () throws(HandshakeError) in try handshake.write(payload: payload) }
        let paired: Paired
        do {
            paired = try Paired(
                handshake.finish(), id: id, nonce: nonce, device: device, server: identity.publicKey,
                lifetimes: lifetimes, at: now, for: .server)
        } catch { throw PairingError(error) }
        return PairResponse(reply: PairedMessage(noise: reply).bytes, paired: paired)
    }
}

/// The server's answer to PAIR and what the pairing gave this end. Frozen, so that other modules can take the parts out.
@frozen package struct PairResponse: ~Copyable, Sendable {
    /// PAIRED, 1196 bytes.
    package let reply: [UInt8]
    /// Not to be stored before CONFIRM has come in.
    package var paired: Paired
}
