// A device built in the test that opens as many carriers of its conversation as it likes, and the records of shared
// carriers.

import Foundation
import Glibc
import Pairing
import Synchronization
import Wire

/// A device with genuine keys. Blocks; belongs to one thread at a time.
final class HostileDevice {
    private let server: Endpoint
    private let identity: Identity
    private var conversation: Conversation
    /// The carrier on which it paired, confirmed.
    let first: HostilePeer

    init(pairingWith server: Endpoint, key: PublicKey, as identity: Identity, timeout: Duration = .seconds(15)) throws {
        let socket = try Socket.connect(to: server, timeout: timeout)
        try socket.setNoDelay()
        let initiator = try PairInitiator(identity: identity, server: key)
        try socket.send(initiator.message)
        let paired = try initiator.receive(try socket.receive(exactly: PairedMessage.size), at: .now)
        conversation = paired.conversation
        first = HostilePeer(socket, paired.keys)
        (self.server, self.identity) = (server, identity)
        try first.confirm()
    }

    /// One more carrier of the same conversation, confirmed and idle.
    func resume(timeout: Duration = .seconds(15)) throws -> HostilePeer {
        let initiator = try ResumeInitiator(conversation: &conversation, identity: identity, at: .now)
        let socket = try Socket.connect(to: server, timeout: timeout)
        try socket.setNoDelay()
        try socket.send(initiator.message)
        let accept = try socket.receive(exactly: AcceptMessage.size)
        let peer = HostilePeer(socket, try initiator.receive(accept: accept))
        try peer.send(.confirm)
        return peer
    }
}

/// A record of a bundle.
struct HostileRecord: Equatable, Sendable {
    let kind: RecordKind
    let stream: UInt64
    let payload: [UInt8]
}

/// The bytes of a record, of any kind and with any payload.
func record(_ kind: UInt8, _ stream: UInt64, _ payload: [UInt8] = []) -> [UInt8] {
    [kind, 0] + HostilePeer.bigEndian(UInt16(payload.count)) + HostilePeer.bigEndian(stream) + payload
}

func record(_ kind: RecordKind, _ stream: UInt64, _ payload: [UInt8] = []) -> [UInt8] {
    record(kind.rawValue, stream, payload)
}

/// An OPEN record.
func openRecord(_ stream: UInt64, _ service: String) -> [UInt8] {
    record(.open, stream, openPlaintext(Array(service.utf8), number: stream))
}

/// How far a direction has come, as MOVE and MOVED say it.
func progress(_ total: Int, ended: Bool = false) -> [UInt8] { HostilePeer.total(total) + [ended ? 1 : 0] }

extension HostilePeer {
    /// Sends one bundle.
    func send(records: [UInt8]...) throws { try send(.bundle, records.flatMap { $0 }) }

    /// MOVE for `stream`, of which `total` bytes were sent on the shared carrier.
    func move(_ stream: UInt64, total: Int, ended: Bool = false) throws {
        try send(.move, Self.bigEndian(stream) + progress(total, ended: ended))
    }

    /// The records of the next bundle; nil at the end of the carrier. Another frame throws.
    func nextRecords() throws -> [HostileRecord]? {
        guard let frame = try next() else { return nil }
        try demand(frame.type == .bundle, "\(frame.type) instead of a bundle")
        return try frame.plaintext.withUnsafeBytes { bytes in
            var records: [HostileRecord] = []
            var offset = 0
            while offset < bytes.count {
                let header = try RecordHeader(parsing: bytes, at: offset)
                let payload = bytes[offset + RecordHeader.size..<offset + RecordHeader.size + header.length]
                records.append(HostileRecord(kind: header.kind, stream: header.stream, payload: Array(payload)))
                offset += RecordHeader.size + header.length
            }
            return records
        }
    }

    /// Waits for the record that ends `stream` without order; `what` tells why it should come.
    func awaitAbort(of stream: UInt64, _ what: String) throws {
        do {
            while let records = try nextRecords() {
                if records.contains(where: { $0.kind == .abort && $0.stream == stream }) { return }
            }
            throw TunnelError(description: "\(what): the shared carrier ended instead of saying ABORT")
        } catch let error as SocketError where error.isTimeout {
            throw TunnelError(description: "\(what): no ABORT of stream \(stream) came")
        }
    }
}

/// What the connections of one service have brought so far, and how they ended.
final class Notebook: Sendable {
    private struct Page {
        var bytes: [UInt8] = []
        var end: ReceivedEnd?
    }

    private let pages = Mutex<[Page]>([])

    /// A service that writes down what comes, and closes in order at an orderly end.
    func service(in scene: Scene) throws -> SampleService {
        try scene.service { [self] connection in
            let page = pages.withLock { pages in
                pages.append(Page())
                return pages.count - 1
            }
            var end = ReceivedEnd.orderly
            do {
                while true {
                    let more = try connection.receive()
                    if more.isEmpty { break }
                    pages.withLock { $0[page].bytes += more }
                }
            } catch let error as SocketError {
                end = error.isTimeout ? .silence : .reset
            }
            pages.withLock { $0[page].end = end }
        }
    }

    /// Everything that came, connection by connection.
    var all: [String] { pages.withLock { $0.map { String(decoding: $0.bytes, as: UTF8.self) } } }

    /// The connection that began with `start`: what it brought, and its end if it has come.
    func connection(startingWith start: String) -> (text: String, end: ReceivedEnd?)? {
        pages.withLock { pages in
            guard let page = pages.first(where: { $0.bytes.starts(with: start.utf8) }) else { return nil }
            return (String(decoding: page.bytes, as: UTF8.self), page.end)
        }
    }
}

/// For threads of a test, which may block: waits until `condition` holds.
func until(_ what: String, within limit: Duration = .seconds(15), _ condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + limit
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(waitingFor: what, limit: limit) }
        usleep(1000)
    }
}
