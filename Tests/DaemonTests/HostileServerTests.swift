// A server with a genuine key that breaks the rules: the application behind the client sees a prefix of what was
// sent and a reset, and the client lives on and pairs again.

import Pairing
import Synchronization
import Testing
import Wire

extension OneAtATime {
    @Suite("Servers that pair and then misbehave")
    struct HostileServerTests {
        /// What a misbehaving server does when a request has come in.
        private struct Misdeed: Sendable {
            let name: String
            let act: @Sendable (HostilePeer, _ answer: [UInt8]) throws -> Void

            init(_ name: String, _ act: @escaping @Sendable (HostilePeer, [UInt8]) throws -> Void) {
                (self.name, self.act) = (name, act)
            }

            /// Half of the answer, and then one frame.
            init(_ name: String, _ type: UInt8, _ plaintext: [UInt8] = [], lies: HostilePeer.Lies = .init()) {
                self.init(name) { peer, answer in
                    try peer.send(.data, Array(answer.prefix(answer.count / 2)))
                    try peer.socket.send(peer.frame(type, plaintext, lies: lies))
                }
            }
        }

        /// Pairs with whoever comes, rejects every RESUME, and does with each carrier what it was last told to.
        private final class FakeServer: Sendable {
            private struct State {
                var serve: @Sendable (HostilePeer) throws -> Void = { try $0.confirmed() }
                var carriers: [Socket] = []
            }

            let listener: ListeningSocket
            private let state = Mutex(State())

            init(as identity: Identity) throws {
                listener = try ListeningSocket()
                startThread { [self] in
                    while let carrier = try? listener.accept() {
                        state.withLock { $0.carriers.append(carrier) }
                        startThread { self.meet(carrier, identity) }
                    }
                }
            }

            /// What is done with the carriers that come from now on; those there are end.
            func set(_ serve: @escaping @Sendable (HostilePeer) throws -> Void) {
                state.withLock {
                    $0.serve = serve
                    for carrier in $0.carriers { carrier.interrupt() }
                    $0.carriers = []
                }
            }

            private func meet(_ carrier: Socket, _ identity: Identity) {
                do {
                    // Which message it is can be seen without taking it.
                    guard try carrier.peek(HandshakeMessage.preambleSize) == HandshakeMessage.preamble(of: .pair) else {
                        _ = try carrier.receive(exactly: ResumeMessage.size)
                        return try carrier.send(HandshakeMessage.reject)
                    }
                    let peer = try HostilePeer.answering(carrier, as: identity)
                    try state.withLock(\.serve)(peer)
                    // Stays until the client has closed.
                    while try peer.next() != nil {}
                } catch {
                    // Whatever the client did to this carrier, it shows at the application.
                }
            }
        }

        private func withClient(
            _ body: (FakeServer, Child, Endpoint) async throws -> Void
        ) async throws {
            try await withScene { scene in
                for file in ["server.key", "client.key"] { _ = try HostileRig.newDevice(file, in: scene) }
                let identity = try Identity.load(path: scene.path("server.key"))
                let server = try FakeServer(as: identity)
                scene.atEnd { server.listener.close() }
                var plan = TunnelPlan(to: .loopback(9)).with { $0.carrier = "own" }
                // Nothing but the misdeed can make the client close a carrier.
                plan.heartbeat = "60s"
                plan.deadAfter = "120s"
                plan.pool = "{min-idle: 1, max-idle: 4}"
                plan.shards = "1"
                try scene.write(
                    plan.clientYAML(serverAddress: server.listener.endpoint, serverKey: identity.publicKey.text),
                    to: "client.yaml")
                let client = try scene.start(oncewireBinary, ["client", "--config", scene.path("client.yaml")])
                try await body(server, client, try await HostileRig.readyEndpoint(of: client))
                #expect(client.end == nil)
            }
        }

        /// Takes one request and hands the carrier over with the whole of it received; FIN comes later.
        @Sendable private static func takeRequest(_ peer: HostilePeer) throws -> [UInt8] {
            try peer.confirmed()
            guard try peer.next()?.type == .open else { throw TunnelError(description: "no OPEN") }
            var request: [UInt8] = []
            while request.count < SmallExchange.size {
                guard let frame = try peer.next(), frame.type == .data else {
                    throw TunnelError(description: "no DATA")
                }
                request += frame.plaintext
            }
            return request
        }

        /// The rules kept: the whole answer, FIN, the client's FIN, CLOSED.
        @Sendable private static func serveWell(_ peer: HostilePeer) throws {
            let answer = SmallExchange.answer(to: try takeRequest(peer))
            try peer.send(.data, answer)
            try peer.send(.fin, HostilePeer.total(answer.count))
            while let frame = try peer.next() {
                if frame.type == .fin { try peer.send(.closed) }
            }
        }

        private func expectGoodService(_ server: FakeServer, _ endpoint: Endpoint) async throws {
            server.set(Self.serveWell)
            try await eventually("the client gets through to a server that keeps the rules") {
                try await onThread {
                    let exchange = SmallExchange()
                    return try exchange.perform(through: endpoint).isWhole(exchange.answer)
                }
            }
        }

        @Test("A stream in which the server breaks a rule ends in a reset of the application")
        func brokenStream() async throws {
            let half = SmallExchange.size / 2
            let misdeeds = [
                Misdeed("a FIN of TCP") { peer, answer in
                    try peer.send(.data, Array(answer.prefix(half)))
                    try peer.socket.finish()
                },
                Misdeed("FIN that says too little", 3, HostilePeer.total(half - 1)),
                Misdeed("FIN that says too much", 3, HostilePeer.total(half + 1)),
                Misdeed("FIN that says all, with half of it missing", 3, HostilePeer.total(SmallExchange.size)),
                Misdeed("CLOSED before FIN", 4), Misdeed("REFUSED in mid-stream", 5, [1]), Misdeed("ABORT", 6, [6]),
                Misdeed("OPEN by a server", 1, openPlaintext("sample")), Misdeed("CONFIRM by a server", 11),
                Misdeed("a second CONFIRMED", 12), Misdeed("BYE by a server", 10), Misdeed("empty DATA", 2),
                Misdeed("an unknown type", 42), Misdeed("flags", 7, lies: .init(flags: 128)),
                Misdeed("a spoilt tag", 2, [1, 2, 3], lies: .init(spoilTag: true)),
                Misdeed("a gap", 2, [1, 2, 3], lies: .init(skipped: 1)),
                Misdeed("a length over the limit", 2, lies: .init(length: 65537)),
                Misdeed("an answer to no REKEY", 9, [2] + [UInt8](repeating: 9, count: 32)),
                Misdeed("REFUSED instead of an answer") { peer, _ in try peer.send(.refused, [2]) },
                Misdeed("CLOSED instead of an answer") { peer, _ in try peer.send(.closed) },
            ]
            // A client of its own for each: it backs off from a server that does such things.
            for misdeed in misdeeds {
                try await withClient { server, _, endpoint in
                    let acted = Inbox<Bool>()
                    server.set { peer in
                        let answer = SmallExchange.answer(to: try Self.takeRequest(peer))
                        acted.put(true)
                        try misdeed.act(peer, answer)
                    }
                    // The client may still hold a carrier that ended just now: that is a reset too, but not the one meant.
                    try await eventually("the server has done its misdeed: \(misdeed.name)") {
                        try await expectReset(misdeed.name, endpoint)
                        return acted.count > 0
                    }
                    try await expectGoodService(server, endpoint)
                }
            }
        }

        private func expectReset(_ name: String, _ endpoint: Endpoint) async throws {
            let (exchange, received) = try await onThread {
                let exchange = SmallExchange()
                return (exchange, try exchange.perform(through: endpoint))
            }
            let fault = received.fault(against: exchange.answer)
            #expect(fault == nil, "\(name): \(fault ?? "")")
            #expect(received.end == .reset, "\(name): the application saw \(received)")
        }

        @Test("What a server says behind the end of a stream reaches no application")
        func behindTheEnd() async throws {
            try await withClient { server, _, endpoint in
                for (type, plaintext) in [
                    (FrameType.data, [1, 2, 3]), (.fin, HostilePeer.total(24)), (.closed, []), (.bye, []),
                ]
                    as [(FrameType, [UInt8])]
                {
                    server.set { peer in
                        let answer = SmallExchange.answer(to: try Self.takeRequest(peer))
                        try peer.send(.data, answer)
                        try peer.send(.fin, HostilePeer.total(answer.count))
                        try peer.send(type, plaintext)
                    }
                    let exchange = SmallExchange()
                    let received = try await onThread { try exchange.perform(through: endpoint) }
                    #expect(received.fault(against: exchange.answer) == nil, "\(type) behind FIN")
                    #expect(received.end != .silence, "\(type) behind FIN: the application was left hanging")
                }
                try await expectGoodService(server, endpoint)
            }
        }

        @Test("Frames that no server may send on an idle carrier close it, and the client pairs again")
        func idleCarrier() async throws {
            let frames: [(UInt8, [UInt8])] = [
                (1, openPlaintext("sample")), (2, [1]), (3, HostilePeer.total(0)), (4, []), (5, [1]), (6, [1]),
                (10, []),
                (11, []), (12, []), (0, []), (200, []),
            ]
            try await withClient { server, client, endpoint in
                for (type, plaintext) in frames {
                    let closed = Inbox<Bool>()
                    server.set { peer in
                        try peer.confirmed()
                        try peer.socket.send(peer.frame(type, plaintext))
                        while try peer.next() != nil {}
                        closed.put(true)
                    }
                    _ = try await closed.next("the client closes a carrier on which frame \(type) came")
                    #expect(client.end == nil)
                }
                try await expectGoodService(server, endpoint)
            }
        }
    }
}
