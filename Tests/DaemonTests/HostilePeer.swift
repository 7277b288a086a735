// The other end of a carrier, built in the test on the same modules as the daemons: it has genuine keys, and
// says with them whatever the test wants.

import Codec
import Foundation
import Pairing
import Wire

/// One end of one carrier. Blocks; belongs to one thread at a time.
final class HostilePeer {
    let socket: Socket
    private(set) var keys: CarrierKeys
    private let cipher = FrameCipher()
    /// Bytes received and not yet taken.
    private var inbound: [UInt8] = []
    /// Frames that came while something else was waited for.
    private var putAside: [(type: FrameType, plaintext: [UInt8])] = []

    init(_ socket: Socket, _ keys: consuming CarrierKeys) {
        self.socket = socket
        self.keys = keys
    }

    /// A client: connects and pairs. Nothing is confirmed yet.
    static func pairing(
        with server: Endpoint, key: PublicKey, as identity: Identity, timeout: Duration = .seconds(15)
    ) throws -> HostilePeer {
        let socket = try Socket.connect(to: server, timeout: timeout)
        try socket.setNoDelay()
        let initiator = try PairInitiator(identity: identity, server: key)
        try socket.send(initiator.message)
        let paired = try initiator.receive(try socket.receive(exactly: PairedMessage.size), at: .now)
        return HostilePeer(socket, paired.keys)
    }

    /// A server: answers the PAIR that comes in on `socket`. `keep` gets the conversation.
    static func answering(
        _ socket: Socket, as identity: Identity, keep: (Handoff<Conversation>) -> Void = { _ in }
    ) throws -> HostilePeer {
        try socket.setNoDelay()
        let response = try PairResponder.respond(
            to: try socket.receive(exactly: PairMessage.size), identity: identity, mint: ConversationIDMint(identity),
            lifetimes: Lifetimes(), isKnown: { _ in true }, at: .now)
        try socket.send(response.reply)
        keep(Handoff(response.paired.conversation))
        return HostilePeer(socket, response.paired.keys)
    }

    // MARK: Sending

    /// What the header of a frame says, where it is not the truth.
    struct Lies {
        var flags: UInt8 = 0
        var reserved: UInt16 = 0
        var length: UInt32?
        /// Nonces passed over: the frame is genuine, but not the next.
        var skipped = 0
        var spoilTag = false
    }

    /// The bytes of one frame, encoded with the next nonce.
    func frame(_ type: UInt8, _ plaintext: [UInt8] = [], lies: Lies = Lies()) throws -> [UInt8] {
        for _ in 0..<lies.skipped { _ = try keys.sending.makeEncoder() }
        let encoder = try keys.sending.makeEncoder()
        let length = lies.length ?? UInt32(plaintext.count)
        var bytes: [UInt8] = [type, lies.flags]
        bytes += Self.bigEndian(lies.reserved) + Self.bigEndian(length) + Self.bigEndian(encoder.nonce)
        bytes += plaintext + [UInt8](repeating: 0, count: FrameHeader.tagSize)
        // An encoder cannot be taken into a closure, so the bytes are taken out to it.
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        defer { frame.deallocate() }
        frame.copyBytes(from: bytes)
        encoder.encode(frame: frame.baseAddress!, count: plaintext.count, with: cipher)
        bytes = Array(frame)
        if lies.spoilTag { bytes[bytes.count - 1] ^= 1 }
        return bytes
    }

    func send(_ type: FrameType, _ plaintext: [UInt8] = []) throws { try socket.send(frame(type.rawValue, plaintext)) }

    /// A total, as FIN has it.
    static func total(_ count: Int) -> [UInt8] { bigEndian(UInt64(count)) }

    static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    // MARK: Receiving

    /// The next frame that is no heartbeat; nil at the end of the carrier, whichever it is. A time-out throws.
    func next() throws -> (type: FrameType, plaintext: [UInt8])? {
        if !putAside.isEmpty { return putAside.removeFirst() }
        while let frame = try nextOfAll() {
            if frame.type != .ping && frame.type != .pong { return frame }
        }
        return nil
    }

    /// PING there, PONG back: everything that was sent before has been looked at. What comes meanwhile is kept for `next`.
    func roundTrip() throws {
        try send(.ping)
        while let frame = try nextOfAll() {
            if frame.type == .pong { return }
            if frame.type != .ping { putAside.append(frame) }
        }
        throw TunnelError(description: "the carrier ended instead of answering PING")
    }

    /// Waits for PING, and answers it.
    func awaitPing() throws {
        while let frame = try nextOfAll() {
            if frame.type == .ping { return try send(.pong) }
            if frame.type != .pong { putAside.append(frame) }
        }
        throw TunnelError(description: "the carrier ended before PING")
    }

    private func nextOfAll() throws -> (type: FrameType, plaintext: [UInt8])? {
        guard try fill(FrameHeader.size) else { return nil }
        let header = try inbound.withUnsafeBytes { try FrameHeader(parsing: $0.baseAddress!) }
        guard try fill(header.frameSize) else { return nil }
        let decoder = try keys.receiving.makeDecoder(nonce: header.nonce)
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: header.frameSize, alignment: 16)
        defer { frame.deallocate() }
        frame.copyBytes(from: inbound.prefix(header.frameSize))
        try decoder.decode(frame: frame.baseAddress!, count: header.length, with: cipher)
        let plaintext = Array(frame[FrameHeader.size..<FrameHeader.size + header.length])
        inbound.removeFirst(header.frameSize)
        return (header.type, plaintext)
    }

    /// Takes what has come into the kernel, so that its sender has room again, and looks at it later.
    func absorb() throws {
        try socket.setTimeout(.milliseconds(300))
        do {
            while true {
                let more = try socket.receive()
                if more.isEmpty { break }
                inbound += more
            }
        } catch let error as SocketError where error.isTimeout {}
        try socket.setTimeout(.seconds(15))
    }

    /// Receives until `count` bytes are there; false if the carrier ended before.
    private func fill(_ count: Int) throws -> Bool {
        do {
            while inbound.count < count {
                let more = try socket.receive()
                if more.isEmpty { return false }
                inbound += more
            }
            return true
        } catch let error as SocketError where error.isReset {
            return false
        }
    }

    /// Client: CONFIRM there, CONFIRMED back.
    func confirm() throws {
        try send(.confirm)
        guard try next()?.type == .confirmed else { throw TunnelError(description: "no CONFIRMED") }
    }

    /// Server: waits for CONFIRM and answers.
    func confirmed() throws {
        guard try next()?.type == .confirm else { throw TunnelError(description: "no CONFIRM") }
        try send(.confirmed)
    }

    /// What the other end still says, heartbeats aside, until it closes the carrier. Throws when it does not before the
    /// socket's time-out; `what` tells why it should.
    func lastWords(_ what: String) throws -> [FrameType] {
        var said: [FrameType] = []
        do {
            while let frame = try next() { said.append(frame.type) }
            return said
        } catch let error as SocketError where error.isTimeout {
            throw TunnelError(description: "\(what): the carrier stayed open, the other end said \(said)")
        }
    }
}

/// The plaintext of an OPEN, of any service id and with any of its fields wrong.
func openPlaintext(
    _ service: [UInt8], number: UInt64 = 1, options: UInt32 = 0, family: UInt8 = 4,
    address: [UInt8] = [127, 0, 0, 1] + [UInt8](repeating: 0, count: 12), claimed: Int? = nil
) -> [UInt8] {
    HostilePeer.bigEndian(number) + HostilePeer.bigEndian(options) + [family] + HostilePeer.bigEndian(UInt16(4711))
        + address + [UInt8(claimed ?? service.count)] + service
}

func openPlaintext(_ service: String) -> [UInt8] { openPlaintext(Array(service.utf8)) }

extension Moment {
    /// By the wall clock. Moments are nothing that two ends tell each other.
    static var now: Moment { Moment(milliseconds: Int64(time(nil)) * 1000) }
}
