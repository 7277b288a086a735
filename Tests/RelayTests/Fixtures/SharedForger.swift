// A forger on a shared carrier: bundles and their records instead of frames.
import Codec
import Glibc
import Testing
import Wire

@testable import Relay

/// A record of a bundle as the forger reads it.
struct Record: Equatable {
    let kind: RecordKind
    let stream: UInt64
    let payload: [UInt8]

    init(_ kind: RecordKind, _ stream: UInt64, _ payload: [UInt8] = []) {
        self.kind = kind
        self.stream = stream
        self.payload = payload
    }

    static func open(_ stream: UInt64) -> Record { Record(.open, stream, Forger.openPlaintext(stream)) }
    static func data(_ stream: UInt64, _ payload: [UInt8]) -> Record { Record(.data, stream, payload) }
    static func fin(_ stream: UInt64, total: Int) -> Record { Record(.fin, stream, bigEndian(UInt64(total))) }
    static func credit(_ stream: UInt64, total: Int) -> Record { Record(.credit, stream, bigEndian(UInt64(total))) }
    static func abort(_ stream: UInt64, _ reason: CloseReason) -> Record { Record(.abort, stream, [reason.rawValue]) }
    static func refused(_ stream: UInt64, _ reason: CloseReason) -> Record {
        Record(.refused, stream, [reason.rawValue])
    }
    static func heavy(_ stream: UInt64) -> Record { Record(.heavy, stream) }

    var bytes: [UInt8] { Forger.record(kind, of: stream, payload) }
}

extension Forger {
    /// A forger whose opposite is a shared carrier with `streams` streams, numbered from 1, each with a connected
    /// application; and the test's ends of those.
    static func sharing(
        posingAs role: Side, streams: Int = 1, link: Connection = .unix, apps: Connection = .unix
    ) throws -> (forger: Forger, apps: [TestSocket]) {
        let forger = try Forger(posingAs: role, link: link)
        if role == .client { forger.send(.confirm) } else { forger.carrier.share() }
        let sockets = try (0..<streams).map { try forger.sharedApp(UInt64($0) + 1, apps) }
        if role == .server {
            var opened = 0
            try #require(
                forger.bench.turn {
                    opened += forger.receivedRecords().count { $0.kind == .open }
                    return opened == streams
                })
        }
        return (forger, sockets)
    }

    /// Begins the stream `number` and connects its application (client) or its target (server).
    func sharedApp(_ number: UInt64, _ kind: Connection = .unix) throws -> TestSocket {
        let (endpoint, app) = bench.accepted(kind)
        switch carrier.side {
        case .client:
            let message = OpenMessage(streamNumber: number, source: .none, service: ServiceID("echo")!)
            carrier.openShared(message, for: endpoint)
        case .server:
            say(.open(number))
            try #require(bench.turn { !owner.seekers.isEmpty })
            owner.seekers.removeFirst().dialled(.connected(endpoint))
        }
        return app
    }

    /// Sends `records` in one bundle.
    func say(_ records: Record...) { send(.bundle, records.flatMap(\.bytes)) }

    /// The records of all bundles that came since the last call; other frames are passed over.
    func receivedRecords() -> [Record] {
        received().filter { $0.type == .bundle }.flatMap { Self.records(of: $0) }
    }

    /// Says as much of a stream as its window allows while its application takes nothing, and returns it.
    func fillWindow(of stream: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: 51)
        var bytes: [UInt8] = []
        var credited = 0
        while bytes.count - credited < Int(RecordHeader.window) {
            let count = min(RecordHeader.maxData, Int(RecordHeader.window) - (bytes.count - credited))
            let piece = generator.bytes(count)
            say(.data(stream, piece))
            bytes += piece
            settle()
            for record in receivedRecords() where record.kind == .credit && record.stream == stream {
                credited = record.payload.suffix(4).reduce(0) { $0 << 8 | Int($1) }
            }
        }
        return bytes
    }

    /// Bytes that fill the carrier's link, behind its back.
    final class Filler {
        var left = 0
    }

    /// Fills the link, so that the carrier cannot send before all of it was poured away.
    func fillLink() throws -> Filler {
        let filler = Filler()
        let piece = [UInt8](repeating: 0, count: 65536)
        for size in [65536, 4096, 1] {
            while case let count = write(carrier.link.endpoint.fd, piece, size), count > 0 { filler.left += count }
        }
        try #require(filler.left > 0)
        return filler
    }

    /// Reads some of the filler; true once it is gone.
    func pour(_ filler: Filler) -> Bool {
        if case .bytes(let some) = link.read(min(filler.left, 4096)) { filler.left -= some.count }
        return filler.left == 0
    }

    /// Takes a bundle apart.
    static func records(of bundle: Frame) -> [Record] {
        var records: [Record] = []
        var offset = 0
        while offset < bundle.plaintext.count {
            do {
                let header = try bundle.plaintext.withUnsafeBytes { try RecordHeader(parsing: $0, at: offset) }
                offset += RecordHeader.size
                records.append(
                    Record(header.kind, header.stream, Array(bundle.plaintext[offset..<offset + header.length])))
                offset += header.length
            } catch {
                Issue.record(error)
                break
            }
        }
        return records
    }
}

extension Bench {
    /// Everything that comes out of `end` until it ends, and how it ended.
    func ending(_ end: TestSocket) -> (bytes: [UInt8], then: TestSocket.Reading) {
        var bytes: [UInt8] = []
        var then = TestSocket.Reading.nothingYet
        _ = turn {
            let (more, next) = end.readAll()
            bytes += more
            then = next
            return next != .nothingYet
        }
        return (bytes, then)
    }
}
