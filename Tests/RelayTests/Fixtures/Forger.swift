// One carrier under test, and a peer that holds the right keys but says what the test wants.
import Codec
import Glibc
import Settings
import Testing
import Wire

@testable import Relay

/// Plays the other end of a carrier, frame by frame.
final class Forger {
    struct Frame: Equatable {
        let type: FrameType
        let plaintext: [UInt8]
    }

    let bench: Bench
    let owner = RecordingOwner()
    let carrier: Carrier
    let link: TestSocket
    private var keys: CarrierKeys
    private let cipher = FrameCipher()
    /// A frame is encoded and decoded in place, at an address that lasts.
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: FrameHeader.maxFrame, alignment: 16)
    private var held: [UInt8]?
    private var unparsed: [UInt8] = []

    /// A forger that plays `role` to a carrier of the other side. A server's carrier waits for CONFIRM, a
    /// client's is idle.
    init(
        posingAs role: Side, link kind: Connection = .unix, phase: Carrier.Phase? = nil,
        settings: CommonSettings = CommonSettings()
    ) throws {
        bench = try Bench()
        let (ours, tests) = TestSocket.descriptors(kind)
        link = TestSocket(tests)
        let (client, server) = crossedKeys()
        switch role {
        case .client:
            keys = client()
            carrier = bench.carrier(
                .server, link: ours, keys: server(), phase: phase ?? .confirming, owner: owner, settings: settings)
        case .server:
            keys = server()
            carrier = bench.carrier(
                .client, link: ours, keys: client(), phase: phase ?? .idle, owner: owner, settings: settings)
        }
    }

    deinit {
        bench.endAll()
        scratch.deallocate()
    }

    // MARK: Sending

    /// The next frame as it goes over the link. `tamper` changes the plain header before it is encoded
    /// and authenticated.
    func frame(_ type: FrameType, _ plaintext: [UInt8] = [], tamper: (inout [UInt8]) -> Void = { _ in }) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: FrameHeader.size + plaintext.count + FrameHeader.tagSize)
        bytes.replaceSubrange(FrameHeader.size..<FrameHeader.size + plaintext.count, with: plaintext)
        let nonce = keys.sending.next
        let header: [UInt8] =
            [type.rawValue, 0, 0, 0] + bigEndian(UInt32(plaintext.count)) + bigEndian(nonce)
        bytes.replaceSubrange(0..<FrameHeader.size, with: header)
        tamper(&bytes)
        do {
            let encoder = try keys.sending.makeEncoder()
            scratch.copyMemory(from: bytes, byteCount: bytes.count)
            encoder.encode(frame: scratch, count: plaintext.count, with: cipher)
            bytes = Array(UnsafeRawBufferPointer(start: scratch, count: bytes.count))
        } catch {
            Issue.record(error)
        }
        return bytes
    }

    func send(_ type: FrameType, _ plaintext: [UInt8] = []) { put(frame(type, plaintext)) }

    func data(_ bytes: [UInt8]) { send(.data, bytes) }

    func fin(total: UInt64) { send(.fin, bigEndian(total)) }

    /// A plaintext that is well-formed for `type`.
    static func plaintext(for type: FrameType) -> [UInt8] {
        switch type {
        case .open: openPlaintext
        case .data: [1]
        case .fin: bigEndian(UInt64(0))
        case .refused, .abort: [1]
        case .rekey: [1] + X25519.PrivateKey().publicKey
        case .bundle: record(.open, of: 1, openPlaintext)
        case .move: bigEndian(UInt64(1)) + bigEndian(UInt64(0)) + [0]
        case .moved: bigEndian(UInt64(0)) + [0]
        case .withdraw, .withdrawn: bigEndian(UInt64(1))
        case .closed, .ping, .pong, .bye, .confirm, .confirmed, .stays, .leaving: []
        }
    }

    /// One record of a bundle.
    static func record(_ kind: RecordKind, of stream: UInt64, _ payload: [UInt8] = []) -> [UInt8] {
        [kind.rawValue, 0] + bigEndian(UInt16(payload.count)) + bigEndian(stream) + payload
    }

    private static var openPlaintext: [UInt8] { openPlaintext(1) }

    static func openPlaintext(_ stream: UInt64) -> [UInt8] {
        let message = OpenMessage(streamNumber: stream, source: .none, service: ServiceID("echo")!)
        var plaintext = [UInt8](repeating: 0, count: message.encodedCount)
        plaintext.withUnsafeMutableBytes { message.write(to: $0.baseAddress!) }
        return plaintext
    }

    func open() { send(.open, Self.openPlaintext) }

    func rekey(_ message: RekeyMessage) {
        var plaintext = [UInt8](repeating: 0, count: message.encodedCount)
        plaintext.withUnsafeMutableBytes { message.write(to: $0.baseAddress!) }
        send(.rekey, plaintext)
    }

    /// Mixes a new secret into the direction that the forger sends in, or reads.
    func mixSending(_ shared: borrowing Secret) { keys.sending.mix(shared) }
    func mixReceiving(_ shared: borrowing Secret) { keys.receiving.mix(shared) }

    /// Writes raw bytes; what `hold` began is kept back until `release`.
    func put(_ bytes: [UInt8]) {
        if held != nil {
            held! += bytes
        } else {
            #expect(link.write(bytes) == bytes.count)
        }
    }

    func hold() { held = [] }

    func release() {
        let bytes = held ?? []
        held = nil
        put(bytes)
    }

    // MARK: Receiving

    /// The frames the carrier has sent since the last call.
    func received() -> [Frame] {
        unparsed += link.readAll().bytes
        var frames: [Frame] = []
        while unparsed.count >= FrameHeader.size {
            do {
                let header = try unparsed.withUnsafeBytes { try FrameHeader(parsing: $0.baseAddress!) }
                guard unparsed.count >= header.frameSize else { break }
                let decoder = try keys.receiving.makeDecoder(nonce: header.nonce)
                scratch.copyMemory(from: unparsed, byteCount: header.frameSize)
                try decoder.decode(frame: scratch, count: header.length, with: cipher)
                let plaintext = UnsafeRawBufferPointer(start: scratch + FrameHeader.size, count: header.length)
                frames.append(Frame(type: header.type, plaintext: Array(plaintext)))
                unparsed.removeFirst(header.frameSize)
            } catch {
                Issue.record(error)
                break
            }
        }
        return frames
    }

    // MARK: The carrier's side

    /// Gives a server's carrier, which waits for it, a connected target; a client's, an application.
    func connectApp(_ kind: Connection = .unix) throws -> TestSocket {
        if carrier.side == .server { try #require(bench.turn { carrier.phase == .dialing }) }
        let (endpoint, app) = bench.connection(kind)
        switch carrier.side {
        case .server: carrier.connected(endpoint)
        case .client:
            carrier.open(OpenMessage(streamNumber: 1, source: .none, service: ServiceID("echo")!), for: endpoint)
        }
        return app
    }

    /// A few turns: everything that is there has been looked at (unix sockets only).
    func settle() { for _ in 0..<12 { bench.turn() } }
}

func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
}
