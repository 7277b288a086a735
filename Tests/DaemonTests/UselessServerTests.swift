// Servers with a genuine key that give a client nothing of use: it asks them ever more seldom, however they do it.

import Foundation
import Glibc
import Pairing
import Synchronization
import Testing
import Wire

@Suite("Servers that are of no use", .timeLimit(.minutes(3)))
struct UselessServerTests {
    /// What a server does with those who come, and how often they came.
    private final class UselessServer: Sendable {
        enum Vice: String, CaseIterable, CustomStringConvertible {
            /// Confirms each pairing, keeps its carrier, and rejects every RESUME.
            case rejects
            /// Confirms each pairing and closes its carrier at once; rejects every RESUME.
            case confirmsAndCloses
            /// Answers PAIR and closes when CONFIRM comes.
            case closesAtConfirm
            /// Closes when PAIR comes.
            case closesAtPair
            /// Grants every RESUME and closes as soon as the client has said something on the carrier.
            case acceptsAndCloses

            var description: String { rawValue }
        }

        let listener: ListeningSocket
        private let identity: Identity
        private let vice: Vice
        private let counts = Mutex((pairs: 0, resumes: 0))
        private let conversation = Mutex<Conversation?>(nil)

        init(_ vice: Vice, as identity: Identity) throws {
            self.vice = vice
            self.identity = identity
            listener = try ListeningSocket()
            startThread { [self] in
                while let carrier = try? listener.accept() {
                    startThread { try? self.meet(carrier) }
                }
            }
        }

        var pairs: Int { counts.withLock { $0.pairs } }
        var resumes: Int { counts.withLock { $0.resumes } }

        private func meet(_ carrier: Socket) throws {
            defer { carrier.close() }
            guard try carrier.peek(HandshakeMessage.preambleSize) == HandshakeMessage.preamble(of: .pair) else {
                let resume = try carrier.receive(exactly: ResumeMessage.size)
                counts.withLock { $0.resumes += 1 }
                guard vice == .acceptsAndCloses else { return try carrier.send(HandshakeMessage.reject) }
                try carrier.send(accept(resume))
                _ = try carrier.peek(1)
                return
            }
            counts.withLock { $0.pairs += 1 }
            guard vice != .closesAtPair else {
                _ = try carrier.receive(exactly: PairMessage.size)
                return
            }
            let peer = try HostilePeer.answering(carrier, as: identity) { paired in
                self.conversation.withLock { $0 = paired.take() }
            }
            guard vice != .closesAtConfirm else {
                _ = try peer.next()
                return
            }
            try peer.confirmed()
            guard vice != .confirmsAndCloses, vice != .acceptsAndCloses else { return }
            while try peer.next() != nil {}
        }

        private func accept(_ resume: [UInt8]) throws -> [UInt8] {
            try conversation.withLock { conversation in
                guard var known = conversation.take() else { throw TunnelError(description: "no conversation") }
                let reply = Result {
                    try ResumeResponder.respond(to: resume, conversation: &known, identity: identity, at: .now).reply
                }
                conversation = consume known
                return try reply.get()
            }
        }
    }

    @Test(
        "A client asks a server that is of no use ever more seldom, whoever waits", .timeLimit(.minutes(1)),
        arguments: UselessServer.Vice.allCases)
    private func backsOff(vice: UselessServer.Vice) async throws {
        try await withScene { scene in
            for file in ["server.key", "client.key"] { _ = try HostileRig.newDevice(file, in: scene) }
            let identity = try Identity.load(path: scene.path("server.key"))
            let server = try UselessServer(vice, as: identity)
            scene.atEnd { server.listener.close() }
            let plan = TunnelPlan(to: .loopback(9)).with { $0.shards = "1" }
            try scene.write(
                plan.clientYAML(serverAddress: server.listener.endpoint, serverKey: identity.publicKey.text),
                to: "client.yaml")
            let client = try scene.start(oncewireBinary, ["client", "--config", scene.path("client.yaml")])
            let endpoint = try await HostileRig.readyEndpoint(of: client)
            // Applications come all the time, and some wait.
            let isOver = Flag()
            scene.atEnd { isOver.set() }
            startThread {
                var sockets: [Socket] = []
                while !isOver.isSet {
                    if let socket = try? Socket.connect(to: endpoint, timeout: .seconds(5)) { sockets.append(socket) }
                    if sockets.count > 20 { sockets.removeFirst().close() }
                    usleep(20_000)
                }
                for socket in sockets { socket.close() }
            }
            let start = ContinuousClock.now
            // Delays double from 50 ms, and each is at least half of that.
            try await eventually("the pauses have grown") { ContinuousClock.now - start > .seconds(4) }
            let (pairs, resumes) = (server.pairs, server.resumes)
            #expect((1...11).contains(pairs), "\(vice): \(pairs) pairings in 4 s")
            #expect(resumes <= 40, "\(vice): \(resumes) resumes in 4 s")
            try await eventually("some more time has passed") { ContinuousClock.now - start > .seconds(9) }
            #expect(server.pairs - pairs <= 4, "\(vice): \(server.pairs - pairs) pairings in 5 s, later")
            #expect(server.resumes - resumes <= 10, "\(vice): \(server.resumes - resumes) resumes in 5 s, later")
            #expect(client.end == nil)
            isOver.set()
        }
    }
}
