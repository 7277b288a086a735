// Reads one handshake message from a fresh connection: never a byte more than the message has, and
// never more memory than the longest message needs.
internal import Wire

/// Collects one handshake message.
struct HandshakeReader {
    enum Outcome {
        /// Not complete yet.
        case more
        /// The whole message, preamble included.
        case message(HandshakeKind, [UInt8])
        /// This peer will never send a message that is wanted here.
        case useless(String)
    }

    private let wanted: [HandshakeKind]
    private var bytes: [UInt8] = []
    private var kind: HandshakeKind?

    /// Only messages of the kinds in `wanted` are read.
    init(wanted: [HandshakeKind]) { self.wanted = wanted }

    /// Whether the peer has sent anything yet.
    var hasBegun: Bool { !bytes.isEmpty }

    /// Reads what there is.
    mutating func read(from endpoint: Endpoint) -> Outcome {
        while true {
            let size = kind.map(HandshakeMessage.size(of:)) ?? HandshakeMessage.preambleSize
            if bytes.count < size {
                guard endpoint.readable else { return .more }
                switch readOnce(from: endpoint, upTo: size) {
                case .moved: continue
                case .blocked: return .more
                case .ended: return .useless("closed in the handshake")
                case .failed(let error): return .useless(errorText(error))
                }
            }
            if let kind { return .message(kind, bytes) }
            guard let found = try? HandshakeMessage.kind(ofPreamble: bytes), wanted.contains(found) else {
                return .useless("not a handshake message")
            }
            kind = found
        }
    }

    private mutating func readOnce(from endpoint: Endpoint, upTo size: Int) -> Transfer {
        let missing = size - bytes.count
        return withUnsafeTemporaryAllocation(byteCount: missing, alignment: 1) { buffer in
            let result = endpoint.read(buffer.baseAddress!, missing)
            if case .moved(let count) = result { bytes.append(contentsOf: buffer[..<count]) }
            return result
        }
    }
}

extension Endpoint {
    /// Sends a handshake message whole. A fresh connection always has room for one; if this one does
    /// not, or is broken, false.
    func sendWhole(_ message: [UInt8]) -> Bool {
        let result = message.withUnsafeBytes { send($0.baseAddress!, $0.count) }
        guard case .moved(message.count) = result else { return false }
        return true
    }
}
