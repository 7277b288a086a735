// Applications and a service that check every byte in both directions: each connection has patterns of its own, so that
// bytes of one that reach another are noticed at either end.

import Foundation
import Glibc
import Synchronization

/// One connection: how much goes up and down, and how it ends.
struct PatternVisit: Sendable, CustomStringConvertible {
    /// Bytes in front of the patterns that tell the service what to do.
    static let headerSize = 24

    let seed: UInt64
    let up, down: Int
    /// The application resets when it has received so many bytes, wherever that is; nil if it stays to the end.
    var leavesAfter: Int?

    var description: String {
        "visit \(seed) (\(up) up, \(down) down\(leavesAfter.map { ", leaves after \($0)" } ?? ""))"
    }

    fileprivate var header: [UInt8] {
        HostilePeer.bigEndian(seed) + HostilePeer.bigEndian(UInt64(up)) + HostilePeer.bigEndian(UInt64(down))
    }

    fileprivate init(header: [UInt8]) {
        func number(_ index: Int) -> UInt64 { header[index * 8..<index * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        seed = number(0)
        up = Int(clamping: number(1))
        down = Int(clamping: number(2))
    }

    init(seed: UInt64, up: Int, down: Int, leavesAfter: Int? = nil) {
        (self.seed, self.up, self.down, self.leavesAfter) = (seed, up, down, leavesAfter)
    }

    /// The seeds of the two directions differ.
    fileprivate var upSeed: UInt64 { seed &* 2 }
    fileprivate var downSeed: UInt64 { seed &* 2 &+ 1 }

    /// The application's side. Returns what is wrong, nil if nothing is. Blocks.
    func perform(through endpoint: Endpoint, timeout: Duration = .seconds(30)) throws -> String? {
        let socket = try Socket.connect(to: endpoint, timeout: timeout)
        let visit = self
        let leaving = Flag()
        let sending = startThread {
            do {
                try socket.send(visit.header)
                if visit.leavesAfter == nil {
                    try socket.sendPattern(seed: visit.upSeed, count: visit.up)
                    try socket.finish()
                } else {
                    try socket.sendPattern(seed: visit.upSeed, count: visit.up, until: leaving)
                }
            } catch {
                // What became of it shows in what is received.
            }
        }
        let seen = socket.compare(seed: downSeed, upTo: leavesAfter)
        leaving.set()
        sending.join()
        if leavesAfter != nil { try? socket.reset() } else { socket.close() }
        if let wrong = seen.wrong { return "\(self): the application got \(wrong)" }
        if leavesAfter == nil, seen.count != down || seen.end != .orderly {
            return "\(self): the application got \(seen.count) bytes and the end was \(seen.end)"
        }
        return nil
    }
}

/// The other side of all visits.
final class PatternService: Sendable {
    /// What is wrong with any connection; visits that the application left say nothing but about wrong bytes.
    let faults = Inbox<String>()
    /// Seeds of those that came whole and ended in order.
    private let whole = Mutex<Set<UInt64>>([])

    func isWhole(_ visit: PatternVisit) -> Bool { whole.withLock { $0.contains(visit.seed) } }

    /// `buffer` is how much its kernel receives ahead of it.
    func service(in scene: Scene, buffer: Int32? = nil) throws -> SampleService {
        try scene.service { [self] connection in
            if let buffer { try connection.setReceiveBuffer(buffer) }
            let header = connection.receiveToEnd(atMost: PatternVisit.headerSize)
            guard header.end == .enough else {
                if !header.bytes.isEmpty, header.end == .orderly { faults.put("an orderly end within a header") }
                return
            }
            let visit = PatternVisit(header: header.bytes)
            let sending = startThread {
                do {
                    try connection.sendPattern(seed: visit.downSeed, count: visit.down)
                    try connection.finish()
                } catch {
                    // The application may leave.
                }
            }
            let got = connection.compare(seed: visit.upSeed, upTo: nil)
            sending.join()
            if let wrong = got.wrong { faults.put("\(visit): the service got \(wrong)") }
            guard got.end == .orderly else { return try connection.reset() }
            if got.count == visit.up {
                _ = whole.withLock { $0.insert(visit.seed) }
            } else {
                faults.put("\(visit): an orderly end after \(got.count) bytes")
            }
        }
    }
}

/// Set once, seen by all.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

extension Socket {
    /// Sends the first `count` bytes of the stream of `seed`, or what fits until the flag is set. Never waits in a call,
    /// so that the socket can be reset.
    fileprivate func sendPattern(seed: UInt64, count: Int, until flag: Flag) throws {
        var pattern = Pattern(seed: seed)
        try withPiece { piece in
            var left = count
            while left > 0, !flag.isSet {
                var rest = UnsafeRawBufferPointer(rebasing: piece[..<min(left, piece.count)])
                pattern.fill(UnsafeMutableRawBufferPointer(rebasing: piece[..<rest.count]))
                left -= rest.count
                while !rest.isEmpty, !flag.isSet {
                    let sent = try sendNow(rest)
                    if sent == 0 { usleep(200) }
                    rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
                }
            }
        }
    }

    /// Receives until some end, or `limit` bytes, and compares with the stream of `seed`.
    fileprivate func compare(
        seed: UInt64, upTo limit: Int?
    ) -> (count: Int, end: ReceivedEnd, wrong: String?) {
        var pattern = Pattern(seed: seed)
        var count = 0
        return withPiece { piece in
            withPiece { expected in
                while count < limit ?? .max {
                    do {
                        let received = try receive(into: piece)
                        if received == 0 { return (count, .orderly, nil) }
                        let part = UnsafeMutableRawBufferPointer(rebasing: expected[..<received])
                        pattern.fill(part)
                        if memcmp(part.baseAddress!, piece.baseAddress!, received) != 0 {
                            return (count, .enough, "foreign bytes after about \(count)")
                        }
                        count += received
                    } catch let error as SocketError {
                        return (count, error.isTimeout ? .silence : .reset, nil)
                    } catch {
                        return (count, .reset, nil)
                    }
                }
                return (count, .enough, nil)
            }
        }
    }
}
