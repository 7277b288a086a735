// A server that answers MOVE wrongly: no application may ever get another stream's bytes by it.

import Foundation
import Pairing
import Synchronization
import Testing
import Wire

extension OneAtATime {
    @Suite("Servers that answer MOVE wrongly")
    struct HostileMovedTests {
        /// What the server built in the test knows of the client's streams.
        private final class Book: Sendable {
            private let shared = Mutex<[UInt64: Int]>([:])
            /// MOVE as it came: which stream, and how much of it came by the shared carrier.
            let moves = Inbox<(stream: UInt64, total: UInt64)>()
            /// How the carriers that asked with MOVE ended, after the answer: the types that came.
            let endings = Inbox<[FrameType]>()

            /// Receives bundles, says once of each stream that it is heavy, and counts.
            func serveShared(_ peer: HostilePeer, first: [UInt8]) throws {
                var bundle = first
                while true {
                    let answer = try answer(to: bundle)
                    if !answer.isEmpty { try peer.send(.bundle, answer) }
                    guard let frame = try peer.next() else { return }
                    guard frame.type == .bundle else {
                        throw TunnelError(description: "\(frame.type) on a shared carrier")
                    }
                    bundle = frame.plaintext
                }
            }

            /// HEAVY for what is new.
            private func answer(to bundle: [UInt8]) throws -> [UInt8] {
                var answer: [UInt8] = []
                try bundle.withUnsafeBytes { bytes in
                    var offset = 0
                    while offset < bytes.count {
                        let header = try RecordHeader(parsing: bytes, at: offset)
                        offset += RecordHeader.size + header.length
                        shared.withLock {
                            switch header.kind {
                            case .open:
                                $0[header.stream] = 0
                                answer += record(.heavy, header.stream)
                            case .data: $0[header.stream, default: 0] += header.length
                            default: break
                            }
                        }
                    }
                }
                return answer
            }

            /// Another stream of the client's; waits until there is one.
            func other(than stream: UInt64) throws -> UInt64 {
                try until("there are two streams") { shared.withLock { $0.count > 1 } }
                return shared.withLock { $0.keys.first { $0 != stream }! }
            }

            /// How many bytes of `stream` came by the shared carrier.
            func count(of stream: UInt64) -> Int { shared.withLock { $0[stream] ?? 0 } }
        }

        /// Takes MOVE, waits until what it counted has come, and answers as `answer` says.
        private static func serve(
            _ book: Book, answer: @escaping @Sendable (HostilePeer, UInt64) throws -> Void
        ) -> @Sendable (HostilePeer) throws -> Void {
            { peer in
                guard let frame = try peer.next() else { return }
                guard frame.type == .move else { return try book.serveShared(peer, first: frame.plaintext) }
                let message = try frame.plaintext.withUnsafeBytes { try MoveMessage(parsing: $0) }
                book.moves.put((message.stream, message.progress.total))
                try until("what MOVE counted has come") { book.count(of: message.stream) == message.progress.total }
                try answer(peer, message.stream)
                var types: [FrameType] = []
                while let frame = try peer.next() { types.append(frame.type) }
                book.endings.put(types)
            }
        }

        @Test("MOVED with the right number is followed: the stream goes on on its own carrier to an orderly end")
        func right() async throws {
            try await withScene { scene in
                let book = Book()
                let (server, client, endpoint) = try await scene.hostileServer(
                    serve: Self.serve(book) { peer, stream in
                        try peer.send(moved: stream, 0)
                        var request: [UInt8] = []
                        while let frame = try peer.next(), frame.type == .data { request += frame.plaintext }
                        try peer.send(.data, request.reversed())
                        try peer.send(.fin, HostilePeer.total(request.count))
                        try peer.send(.closed)
                    })
                let socket = try await onThread { try Socket.connect(to: endpoint) }
                let received = try await onThread {
                    try socket.send("begins on the shared carrier")
                    try until("the client has asked") { book.moves.count > 0 }
                    try socket.send("ends on its own")
                    try socket.finish()
                    return socket.received()
                }
                #expect(String(decoding: received.bytes.reversed(), as: UTF8.self) == "ends on its own")
                #expect(received.end == .orderly)
                #expect(server.faults.takeAll() == [])
                #expect(client.end == nil)
            }
        }

        /// What is wrong with an answer to MOVE.
        enum Wrong: CaseIterable, Sendable {
            /// Another stream of the same carrier.
            case another
            case next, zero, highest
            /// As MOVED was before it named its stream.
            case nameless
            case flag
        }

        @Test(
            "MOVED that names another stream ends that carrier and resets the application, and none gets its bytes",
            arguments: Wrong.allCases)
        func wrong(_ wrong: Wrong) async throws {
            try await withScene { scene in
                let book = Book()
                let secret = "bytes behind a wrong MOVED"
                let (server, client, endpoint) = try await scene.hostileServer(
                    serve: Self.serve(book) { peer, stream in
                        let other = try book.other(than: stream)
                        switch wrong {
                        case .another: try peer.send(moved: other, 0)
                        case .next: try peer.send(moved: stream + 1000, 0)
                        case .zero: try peer.send(moved: 0, 0)
                        case .highest: try peer.send(moved: .max, 0)
                        case .nameless: try peer.socket.send(peer.frame(15, progress(0)))
                        case .flag:
                            try peer.socket.send(
                                peer.frame(15, HostilePeer.bigEndian(stream) + HostilePeer.total(0) + [2]))
                        }
                        try peer.send(.data, Array(secret.utf8))
                        try peer.send(.fin, HostilePeer.total(secret.utf8.count))
                        try peer.send(.closed)
                    })
                // Two streams on the same carrier, and both want to move.
                let sights = try await onThread {
                    let sockets = try (0..<2).map { _ in try Socket.connect(to: endpoint) }
                    for socket in sockets { try socket.send("here I am") }
                    return sockets.map { $0.received() }
                }
                for sight in sights {
                    #expect(sight.bytes.isEmpty, "\(wrong): \(String(decoding: sight.bytes, as: UTF8.self))")
                    #expect(sight.end == .reset, "\(wrong): the application saw \(sight.end)")
                }
                _ = try await book.endings.next("the client ends a carrier with a wrong MOVED")
                #expect(server.faults.takeAll() == [])
                #expect(client.end == nil)
            }
        }

        @Test("A carrier that breaks instead of answering MOVE resets the application")
        func breaks() async throws {
            try await withScene { scene in
                let book = Book()
                let (_, client, endpoint) = try await scene.hostileServer(
                    serve: Self.serve(book) { peer, _ in try peer.socket.reset() })
                for _ in 0..<3 {
                    let received = try await onThread {
                        let socket = try Socket.connect(to: endpoint)
                        try socket.send("here I am")
                        return socket.received()
                    }
                    #expect(received == Received(bytes: [], end: .reset))
                }
                #expect(client.end == nil)
            }
        }
    }
}

extension HostilePeer {
    /// MOVED for `stream`, of which `total` bytes were sent on the shared carrier.
    fileprivate func send(moved stream: UInt64, _ total: Int) throws {
        try socket.send(frame(FrameType.moved.rawValue, Self.bigEndian(stream) + progress(total)))
    }
}
