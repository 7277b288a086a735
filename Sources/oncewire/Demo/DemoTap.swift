// The demo's eavesdropper: passes bytes on between client and server, and keeps the first frame of a stream.
import Pairing
import Relay
import Settings
import Wire

/// What the eavesdropper saw of one frame.
struct DemoCapture {
    let header: FrameHeader
    /// The whole frame as it was sent: header, ciphertext, tag.
    let bytes: [UInt8]
}

/// Stands between client and server. Can read what anybody on the way could read, and changes nothing.
final class DemoTap: Sendable {
    /// Where the client believes the server to be.
    let address: Address

    private let server: Address
    private let first = Guarded<DemoCapture?>(nil)

    /// Starts passing on to `server`, two threads a connection. Ends with the process.
    init(to server: Address) throws {
        self.server = server
        let listener = try LoopbackListener()
        address = listener.address
        listener.acceptForever { [self] client in
            guard let onward = try? LoopbackConnection(to: server) else { return }
            startThread("demo") { Self.pass(from: onward, to: client) { _ in } }
            var reader = FirstDataFrame()
            Self.pass(from: client, to: onward) { chunk in
                if let capture = reader.read(chunk) { first.withLock { $0 = $0 ?? capture } }
            }
        }
    }

    /// The first frame of a stream that came from the client.
    var capture: DemoCapture? { first.withLock { $0 } }

    private static func pass(
        from source: LoopbackConnection, to sink: LoopbackConnection, seen: ([UInt8]) -> Void
    ) {
        // A reset at one end becomes an end of file at the other: good enough for an eavesdropper.
        while let chunk = try? source.receive() {
            seen(chunk)
            guard (try? sink.send(chunk)) != nil else { break }
        }
        sink.finish()
    }
}

/// Finds the first DATA or BUNDLE frame in what a client sends over a carrier: a handshake message, then frames.
private struct FirstDataFrame {
    private enum Stage {
        case preamble
        case header
        case frame(FrameHeader)
        case done
    }

    private var stage = Stage.preamble
    private var pending: [UInt8] = []

    /// Takes the next bytes; gives the frame when it is complete, once.
    mutating func read(_ chunk: [UInt8]) -> DemoCapture? {
        if case .done = stage { return nil }
        pending += chunk
        while true {
            switch stage {
            case .preamble:
                guard pending.count >= HandshakeMessage.preambleSize else { return nil }
                guard let kind = try? HandshakeMessage.kind(ofPreamble: pending.prefix(HandshakeMessage.preambleSize))
                else { return giveUp() }
                guard drop(HandshakeMessage.size(of: kind)) else { return nil }
                stage = .header
            case .header:
                guard pending.count >= FrameHeader.size else { return nil }
                let parsed = pending.withUnsafeBytes { bytes in
                    bytes.baseAddress.flatMap { try? FrameHeader(parsing: $0) }
                }
                guard let header = parsed else { return giveUp() }
                stage = .frame(header)
            case .frame(let header):
                guard header.type != .data, header.type != .bundle else {
                    guard pending.count >= header.frameSize else { return nil }
                    stage = .done
                    return DemoCapture(header: header, bytes: [UInt8](pending.prefix(header.frameSize)))
                }
                guard drop(header.frameSize) else { return nil }
                stage = .header
            case .done:
                return nil
            }
        }
    }

    /// Removes that many bytes if they are all there.
    private mutating func drop(_ count: Int) -> Bool {
        guard pending.count >= count else { return false }
        pending.removeFirst(count)
        return true
    }

    private mutating func giveUp() -> DemoCapture? {
        stage = .done
        return nil
    }
}
