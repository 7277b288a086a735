// A stream that is found heavy in the very turn in which it ends: its carrier is idle next, and must be in one place only.
// The server built in the test looks at every frame that the client sends from then on.

import Foundation
import Glibc
import Pairing
import Testing
import Wire

extension OneAtATime {
    @Suite("Streams that end in the turn in which they are found heavy")
    struct HostileTurnoverTests {
        /// Frames that one turn of a loop takes from a carrier.
        private static let turn = 8
        /// The plaintext of a frame that makes a turn exactly full, behind which FIN still has room in it.
        private static let lastFrame = 65_536 + 32 - 2 * 32 - 8

        /// Serves streams one after another until the carrier ends; a frame that does not decode throws.
        private static func serveStreams(_ peer: HostilePeer, _ streams: Inbox<[UInt8]>) throws {
            var bytes: [UInt8] = []
            while let frame = try peer.next() {
                switch frame.type {
                case .open: bytes = []
                case .data: bytes += frame.plaintext
                case .fin:
                    streams.put(bytes)
                    try peer.send(.fin, HostilePeer.total(0))
                    try peer.send(.closed)
                default: throw TunnelError(description: "\(frame.type) on a carrier of its own")
                }
            }
        }

        /// Bytes that the daemon has not read yet of what came from `socket` to the listener at `endpoint`.
        private static func unread(of socket: Socket, at endpoint: Endpoint) throws -> Int {
            guard let mine = Endpoint.bound(to: socket.fd) else { return 0 }
            // It asks the kernel for this one connection: /proc/net/tcp lists thousands after some other tests.
            let question = Process()
            question.executableURL = URL(fileURLWithPath: try program("ss"))
            question.arguments = ["-tnH", "sport = :\(endpoint.port) and dport = :\(mine.port)"]
            let answer = Pipe()
            question.standardOutput = answer
            try question.run()
            let text = String(decoding: answer.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            question.waitUntilExit()
            // State, Recv-Q, Send-Q, and the two addresses.
            let fields = text.split { $0 == " " || $0 == "\n" }
            guard fields.count >= 5, let count = Int(fields[1]) else {
                throw TunnelError(description: "ss does not know the connection: \(text)")
            }
            return count
        }

        /// Sends to the daemon until it does not read any more, because its link is blocked. Little is left unread.
        private static func block(_ socket: Socket, at endpoint: Endpoint) throws -> Int {
            var sent = 0
            while true {
                try socket.send([UInt8](repeating: 1, count: 32_768))
                sent += 32_768
                let deadline = ContinuousClock.now + .milliseconds(200)
                while try unread(of: socket, at: endpoint) > 0 {
                    if ContinuousClock.now > deadline { return sent }
                }
            }
        }

        /// A stream whose way up is blocked when its last bytes come down, all at once, and make its turn full. In that
        /// same turn the way up is free again.
        private static func play(_ peer: HostilePeer, _ client: Child, _ endpoint: Endpoint) throws {
            let socket = try Socket.connect(to: endpoint)
            try socket.send([1])
            try demand(try peer.next()?.type == .open, "no OPEN")
            try demand(try peer.next()?.plaintext == [1], "no DATA")
            let read = startThread { _ = socket.received() }
            // Much down, so that the kernels give the connection room for a whole turn. That makes it heavy, which it is no
            // longer when two heartbeats have passed.
            let full = [UInt8](repeating: 2, count: 65_536)
            var down = 0
            for _ in 0..<60 {
                var burst: [UInt8] = []
                for _ in 0..<2 * turn { burst += try peer.frame(FrameType.data.rawValue, full) }
                down += 2 * turn * full.count
                var taken = 0
                try whileStopped(client) { taken = try peer.socket.sendWhatFits(burst) }
                try peer.socket.send(Array(burst[taken...]))
                try peer.roundTrip()
                if taken == burst.count { break }
            }
            for _ in 0..<3 { try peer.awaitPing() }
            let up = try block(socket, at: endpoint) + 1
            try socket.finish()
            for _ in 0..<3 {
                var burst: [UInt8] = []
                for _ in 0..<turn { burst += try peer.frame(FrameType.data.rawValue, full) }
                burst += try peer.frame(FrameType.pong.rawValue)
                down += turn * full.count
                try whileStopped(client) { try peer.socket.send(burst) }
                try until("the daemon has taken the burst") { peer.socket.unacknowledged == 0 }
            }
            var last: [UInt8] = []
            for _ in 1..<turn { last += try peer.frame(FrameType.data.rawValue, full) }
            last += try peer.frame(FrameType.data.rawValue, Array(full.prefix(lastFrame)))
            down += (turn - 1) * full.count + lastFrame
            last += try peer.frame(FrameType.fin.rawValue, HostilePeer.total(down))
            last += try peer.frame(FrameType.pong.rawValue)
            try whileStopped(client) {
                try peer.socket.send(last)
                try peer.absorb()
            }
            var received = 1
            while let frame = try peer.next() {
                if frame.type == .data { received += frame.plaintext.count }
                if frame.type == .fin { break }
            }
            try demand(received == up, "\(received) of \(up) bytes came up")
            try peer.send(.closed)
            read.join()
        }

        private static func whileStopped(_ child: Child, _ work: () throws -> Void) throws {
            child.signal(SIGSTOP)
            try until("the client is stopped") { child.facts.state == "T" }
            defer { child.signal(SIGCONT) }
            try work()
        }

        @Test("The carrier of a stream that ends as it is found heavy carries one stream, under its own keys")
        func endsWhileHeavy() async throws {
            try await withScene { scene in
                let streams = Inbox<[UInt8]>()
                let started = Inbox<(Child, Endpoint)>()
                let played = Inbox<String?>()
                let order = Ticket()
                let (server, client, endpoint) = try await scene.hostileServer {
                    $0.carrier = "own"
                    $0.pool = "{min-idle: 0, max-idle: 4}"
                    $0.heartbeat = "1s"
                } serve: { peer in
                    if order.take(from: [0]) != nil {
                        do {
                            try until("the client has started") { started.count > 0 }
                            let (client, endpoint) = started.takeAll()[0]
                            try Self.play(peer, client, endpoint)
                            played.put(nil)
                        } catch {
                            return played.put("\(error)")
                        }
                    }
                    try Self.serveStreams(peer, streams)
                }
                started.put((client, endpoint))
                if let fault = try await played.next("the heavy stream has ended") {
                    throw TunnelError(description: fault)
                }
                let texts = ["first", "the secret of the second application", "third"]
                let sockets = try await onThread {
                    try texts.map { _ in try Socket.connect(to: endpoint, timeout: .seconds(3)) }
                }
                for (text, socket) in zip(texts, sockets) { try socket.send(text) }
                for (text, socket) in zip(texts, sockets) {
                    try socket.finish()
                    let received = try await onThread { socket.received() }
                    #expect(received == Received(bytes: [], end: .orderly), "\(text)")
                }
                #expect(streams.takeAll().map { String(decoding: $0, as: UTF8.self) }.sorted() == texts.sorted())
                #expect(server.faults.takeAll() == [])
                #expect(client.end == nil)
            }
        }
    }
}

extension Socket {
    /// Sends what the kernels have room for; returns how much that was.
    fileprivate func sendWhatFits(_ bytes: [UInt8]) throws -> Int {
        try bytes.withUnsafeBytes { bytes in
            var sent = 0
            var full = ContinuousClock.now
            while sent < bytes.count, ContinuousClock.now - full < .milliseconds(50) {
                let more = try sendNow(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
                sent += more
                if more > 0 { full = .now } else { usleep(1000) }
            }
            return sent
        }
    }
}
