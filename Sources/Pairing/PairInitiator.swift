// The client's end of a pairing: made with PAIR ready to send, consumed by PAIRED.
//
//      PAIR     ->  e, e1, es, s, ss             mac1
//      PAIRED   <-  e, ee, ekem1, se, psk

package import Codec
internal import Wire

/// A pairing under way on the client. Everything secret in it is wiped when it has received PAIRED or is dropped.
package struct PairInitiator: ~Copyable, Sendable {
    /// PAIR, 1324 bytes.
    package let message: [UInt8]

    private var handshake: HandshakeState
    private let device: PublicKey
    private let server: PublicKey

    /// Begins a pairing of `identity` with `server`. `psk` is 32 bytes; all zero unless registration gave the device
    /// another one.
    package init(identity: Identity, server: PublicKey, psk: consuming Secret? = nil) throws(PairingError) {
        try self.init(
            identity: identity, server: server, psk: psk, ephemerals: Ephemerals(kem: KEM.DecapsulationKey()))
    }

    /// The same with chosen ephemeral keys, for known answers.
    init(
        identity: Identity, server: PublicKey, psk: consuming Secret?, ephemerals: consuming Ephemerals
    ) throws(PairingError) {
        handshake = HandshakeState(
            .oncewire, role: .initiator, prologue: Handshake.prologue,
            context: HandshakeMessage.preamble(of: .pair), identity: identity, remoteStatic: server.bytes,
            psk: psk ?? Secret(count: Handshake.pskSize), ephemerals: ephemerals)
        let payload = PairPayload(pattern: .conversationOnceAndDone).bytes
        let noise: [UInt8]
        // Nothing of the client has come in yet: the only key of the peer is the configured one.
        do { noise = try handshake.write(payload: payload) } catch { throw PairingError(reading: error) }
        message = PairMessage(noise: noise) { Mac1.code(of: $0, server: server) }.bytes
        device = identity.publicKey
        self.server = server
    }

    /// Reads PAIRED. When this returns, the server has proved three things: it has the private key of `server`, it
    /// knows this device, and it answers this very PAIR.
    package consuming func receive(
        _ paired: [UInt8], at now: Moment
    ) throws(PairingError) -> Paired {
        let message = try parsing { () throws(WireError) in try PairedMessage(parsing: paired) }
        handshake.mixHash(message.preamble)
        let bytes: [UInt8]
        do { bytes = try handshake.read(message.noise) } catch { throw PairingError(reading: error) }
        let payload = try parsing { () throws(WireError) in try PairedPayload(parsing: bytes) }
        guard let lifetimes = Lifetimes(payload) else { throw .peer(.illegalLifetimes) }
        let (device, server) = (device, server)
        do {
            return try Paired(
                handshake.finish(), id: ConversationID(bytes: payload.conversationID), nonce: payload.nonce,
                device: device, server: server, lifetimes: lifetimes, at: now, for: .device)
        } catch { throw PairingError(error) }
    }
}

/// What both ends of a pairing agree on beforehand.
enum Handshake {
    static let prologue = [UInt8]("oncewire/1".utf8)
    static let pskSize = 32
}
