// Somebody who calls a server and says what the test wants, one handshake message after the other.
import Codec
import Glibc
import Pairing
import Testing
import Wire

@testable import Relay

/// One connection to the server of a bench.
final class Caller {
    let bench: RolesBench
    let socket: TestSocket
    private let identity: Identity
    private var pair: PairInitiator?
    private var keys: CarrierKeys?
    private var conversation: Conversation?
    private var reply: [UInt8] = []

    /// Calls, and is a newcomer when this returns.
    init(_ bench: RolesBench, as identity: Identity) throws {
        self.bench = bench
        self.identity = identity
        let before = bench.newcomers
        socket = try bench.call()
        try #require(bench.turn { bench.newcomers == before + 1 })
    }

    /// The same for one that comes with `other`'s conversation.
    convenience init(resuming other: Caller) throws {
        try self.init(other.bench, as: other.identity)
        conversation = other.conversation.take()
    }

    /// Sends PAIR, made for the server with this key, or the bench's own.
    func sendPair(to server: PublicKey? = nil) throws {
        let initiator = try PairInitiator(identity: identity, server: server ?? bench.identity.publicKey)
        socket.write(initiator.message)
        pair = consume initiator
    }

    /// Reads PAIRED and has the conversation. False if the connection ended instead.
    func receivePaired() throws -> Bool {
        guard receive(HandshakeMessage.size(of: .paired)), let pair = pair.take() else { return false }
        let paired = try pair.receive(reply, at: bench.server.shards[0].moment)
        keys = .some(paired.keys)
        conversation = .some(paired.conversation)
        return true
    }

    /// Sends RESUME; returns it.
    func sendResume() throws -> [UInt8] {
        let message = try ResumeInitiator(
            conversation: &conversation!, identity: identity, at: bench.server.shards[0].moment
        ).message
        socket.write(message)
        return message
    }

    /// Sends CONFIRM.
    func confirm() throws {
        guard let nonce = keys?.sending.next, let encoder = try keys?.sending.makeEncoder() else { return }
        let size = FrameHeader.size + FrameHeader.tagSize
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        defer { scratch.deallocate() }
        let header = [FrameType.confirm.rawValue, 0, 0, 0] + bigEndian(UInt32(0)) + bigEndian(nonce)
        scratch.copyMemory(from: header, byteCount: header.count)
        encoder.encode(frame: scratch, count: 0, with: FrameCipher())
        socket.write(UnsafeRawBufferPointer(start: scratch, count: size))
    }

    /// Turns until `count` bytes have come. False if the connection ended instead.
    func receive(_ count: Int) -> Bool {
        reply = []
        var isOver = false
        _ = bench.turn {
            switch socket.read(count - reply.count) {
            case .bytes(let bytes): reply += bytes
            case .nothingYet: break
            case .ended, .broken: isOver = true
            }
            return isOver || reply.count == count
        }
        return !isOver
    }

    /// The type of the first frame that comes; nil if the connection ended instead. Its type is for everybody to see.
    func receiveFrame() -> FrameType? {
        receive(FrameHeader.size + FrameHeader.tagSize) ? FrameType(rawValue: reply[0]) : nil
    }

    /// The connection ended, and brought nothing before.
    func isTurnedAway() -> Bool {
        var last = TestSocket.Reading.nothingYet
        _ = bench.turn {
            last = socket.read()
            return last != .nothingYet
        }
        return last == .ended || last == .broken(TestSocket.connectionReset)
    }

    /// Nothing has come and the connection stands, some turns from now.
    func isWaiting() -> Bool {
        for _ in 0..<20 { bench.turn() }
        return socket.read() == .nothingYet
    }
}

extension RolesBench {
    /// Connections to the server that have not proved themselves.
    var newcomers: Int { server.roles.reduce(0) { $0 + $1.newcomersHere } }

    /// A conversation of the device with this name that is confirmed.
    func pair(as identity: Identity) throws -> Caller {
        let caller = try Caller(self, as: identity)
        try caller.sendPair()
        try #require(try caller.receivePaired())
        try caller.confirm()
        try #require(caller.receiveFrame() == .confirmed)
        return caller
    }
}
