// A client with genuine keys that breaks every rule it can: the server closes the carrier at once, the target
// has seen no more than it was allowed to, and nobody else notices.

import Codec
import Pairing
import Testing
import Wire

extension OneAtATime {
    @Suite("Clients that pair and then misbehave")
    struct HostileClientTests {
        /// What a misbehaving client does on a confirmed carrier, and what may come of it.
        struct Misdeed: Sendable, CustomStringConvertible {
            /// What the target may have received.
            enum Reached: Sendable {
                /// It must not have been dialled.
                case nothing
                /// These bytes or a part of them from the start, and then a reset.
                case atMost([UInt8])
            }

            let description: String
            var reached = Reached.nothing
            let act: @Sendable (HostilePeer) throws -> Void

            init(
                _ description: String, reached: Reached = .nothing,
                _ act: @escaping @Sendable (HostilePeer) throws -> Void
            ) {
                (self.description, self.reached, self.act) = (description, reached, act)
            }

            /// One frame and no more.
            init(_ description: String, _ type: UInt8, _ plaintext: [UInt8] = [], lies: HostilePeer.Lies = .init()) {
                self.init(description) { try $0.socket.send($0.frame(type, plaintext, lies: lies)) }
            }
        }

        private static let secret = Array("only this may arrive".utf8)

        /// A server that nothing but the misdeed can make close a carrier: its patience is longer than the test's.
        private func withServer(
            _ body:
                @escaping @Sendable (Tunnel, Endpoint, PublicKey, Identity, SmallService, Inbox<Received>) async throws
                -> Void
        ) async throws {
            try await withScene { scene in
                let service = try SmallService(in: scene)
                let arrived = Inbox<Received>()
                let sink = try scene.service { arrived.put($0.received()) }
                var plan = HostileRig.plan(service)
                plan.services.append(.init(name: "sink", target: sink.endpoint.description))
                plan.services.append(.init(name: "forbidden", target: sink.endpoint.description))
                plan.allowed = ["sample", "sink"]
                plan.heartbeat = "60s"
                plan.deadAfter = "120s"
                plan.admission =
                    "{handshake-timeout: 1s, first-byte-timeout: 1s, "
                    + "pairings-per-second: 10000, pairings-at-once: 10000}"
                let hostile = try HostileRig.newDevice("hostile.key", in: scene)
                plan.moreDevices = "  hostile: {key: \"\(hostile)\", services: [sample, sink]}\n"
                let tunnel = try await scene.tunnel(plan)
                let identity = try Identity.load(path: scene.path("hostile.key"))
                let key = try PublicKey(text: tunnel.serverKey)
                try await body(tunnel, tunnel.serverEndpoint, key, identity, service, arrived)
                #expect(tunnel.server.end == nil)
                let exchange = SmallExchange()
                let genuine = tunnel.endpoint("sample")
                #expect(try await onThread { try exchange.perform(through: genuine) }.isWhole(exchange.answer))
            }
        }

        private func expectClosed(_ misdeeds: [Misdeed]) async throws {
            try await withServer { _, server, key, identity, _, arrived in
                for misdeed in misdeeds {
                    let said = try await onThread {
                        let peer = try HostilePeer.pairing(with: server, key: key, as: identity)
                        try peer.confirm()
                        // The server may close in the middle of it.
                        do { try misdeed.act(peer) } catch let error as SocketError where error.isReset {}
                        return try peer.lastWords("\(misdeed)")
                    }
                    #expect(said.allSatisfy { [.refused, .abort].contains($0) }, "\(misdeed): the server said \(said)")
                    switch misdeed.reached {
                    case .nothing:
                        #expect(arrived.count == 0, "\(misdeed): the target was reached")
                        _ = arrived.takeAll()
                    case .atMost(let bytes):
                        let received = try await arrived.next("what the target got of \(misdeed)")
                        #expect(bytes.starts(with: received.bytes) && received.end == .reset, "\(misdeed): \(received)")
                    }
                }
            }
        }

        @Test("A frame that is malformed, though genuinely encoded, closes the carrier")
        func malformed() async throws {
            var misdeeds = [0, 13, 14, 79, 128, 255].map { Misdeed("type \($0)", $0) }
            misdeeds += [
                Misdeed("flags", 7, lies: .init(flags: 1)), Misdeed("reserved bits", 7, lies: .init(reserved: 1)),
                Misdeed("a length over the limit", 2, [1], lies: .init(length: 65537)),
                Misdeed("the longest length there is", 2, [1], lies: .init(length: .max)),
                Misdeed("a negative length", 2, [1], lies: .init(length: 1 << 31)),
                Misdeed("a length of another type", 7, [1]), Misdeed("empty DATA", 2),
                Misdeed("the nonce after the next", 7, lies: .init(skipped: 1)),
                Misdeed("a nonce far ahead", 7, lies: .init(skipped: 1000)),
                Misdeed("a spoilt tag", 7, lies: .init(spoilTag: true)),
                Misdeed("the same frame twice") { peer in
                    let ping = try peer.frame(FrameType.ping.rawValue)
                    try peer.socket.send(ping + ping)
                },
            ]
            try await expectClosed(misdeeds)
        }

        @Test("Frames out of their order close the carrier before a stream is open")
        func outOfOrder() async throws {
            try await expectClosed([
                Misdeed("DATA before OPEN", 2, [1, 2, 3]), Misdeed("FIN before OPEN", 3, HostilePeer.total(0)),
                Misdeed("CLOSED by a client", 4), Misdeed("REFUSED by a client", 5, [1]),
                Misdeed("a second CONFIRM", 11), Misdeed("CONFIRMED by a client", 12),
                Misdeed("ABORT of an unknown reason", 6, [0]), Misdeed("ABORT of a later reason", 6, [11]),
            ])
        }

        @Test("An OPEN that is not exactly right reaches no target and closes the carrier")
        func oddOpen() async throws {
            let ids = [
                "", "Sink", "SINK", "sink ", " sink", "si nk", "sink\0", "\0", "../sink", ".sink", "-sink", "_sink",
                "sınk",
                "nowhere", "forbidden", "127.0.0.1:22", "unix:/run/x", String(repeating: "a", count: 63),
                String(repeating: "a", count: 64), String(repeating: "a", count: 200), "\u{FF}\u{FE}",
            ]
            var misdeeds = ids.map { Misdeed("the service id \($0.debugDescription)", 1, openPlaintext($0)) }
            let sink = Array("sink".utf8)
            misdeeds += [
                Misdeed("options", 1, openPlaintext(sink, options: 1)),
                Misdeed("a family", 1, openPlaintext(sink, family: 5)),
                Misdeed("an address without a family", 1, openPlaintext(sink, family: 0)),
                Misdeed(
                    "bytes behind an IPv4 address", 1,
                    openPlaintext(sink, address: [127, 0, 0, 1] + [UInt8](repeating: 1, count: 12))),
                Misdeed("an id longer than the frame", 1, openPlaintext(sink, claimed: 5)),
                Misdeed("an id shorter than the frame", 1, openPlaintext(sink, claimed: 3)),
                Misdeed("an id of 255 bytes", 1, openPlaintext(sink, claimed: 255)),
                Misdeed("half an OPEN", 1, Array(openPlaintext(sink).prefix(20))),
                Misdeed("an empty OPEN", 1),
            ]
            try await expectClosed(misdeeds)
        }

        @Test(
            "A stream that breaks its rules ends in a reset of the target, which has no more than the bytes from before"
        )
        func brokenStream() async throws {
            let misdeeds: [(String, @Sendable (HostilePeer) throws -> Void)] = [
                ("a second OPEN", { try $0.send(.open, openPlaintext("sink")) }),
                ("FIN that says too little", { try $0.send(.fin, HostilePeer.total(Self.secret.count - 1)) }),
                ("FIN that says too much", { try $0.send(.fin, HostilePeer.total(Self.secret.count + 1)) }),
                ("FIN that says the most", { try $0.send(.fin, [UInt8](repeating: 255, count: 8)) }),
                ("a second CONFIRM", { try $0.send(.confirm) }), ("BYE in a stream", { try $0.send(.bye) }),
                ("CLOSED by a client", { try $0.send(.closed) }), ("empty DATA", { try $0.socket.send($0.frame(2)) }),
                ("an unknown type", { try $0.socket.send($0.frame(99)) }),
                (
                    "DATA with a spoilt tag",
                    { try $0.socket.send($0.frame(2, [1, 2, 3], lies: .init(spoilTag: true))) }
                ),
                ("DATA after a gap", { try $0.socket.send($0.frame(2, [1, 2, 3], lies: .init(skipped: 1))) }),
                ("ABORT", { try $0.send(.abort, [5]) }), ("a FIN of TCP", { try $0.socket.finish() }),
            ]
            try await expectClosed(
                misdeeds.map { name, act in
                    Misdeed(name, reached: .atMost(Self.secret)) { peer in
                        try peer.send(.open, openPlaintext("sink"))
                        try peer.send(.data, Self.secret)
                        try act(peer)
                    }
                })
        }

        @Test("DATA and FIN behind FIN close the carrier, and nothing of them is delivered")
        func afterFin() async throws {
            try await withServer { _, server, key, identity, service, arrived in
                let misdeeds: [(FrameType, [UInt8])] = [
                    (.data, [1, 2, 3]), (.fin, HostilePeer.total(SmallExchange.size - 1)),
                ]
                for (type, plaintext) in misdeeds {
                    try await onThread {
                        let peer = try HostilePeer.pairing(with: server, key: key, as: identity)
                        try peer.confirm()
                        try peer.send(.open, openPlaintext("sample"))
                        try peer.send(.data, [UInt8](repeating: 9, count: SmallExchange.size - 1))
                        try peer.send(.fin, HostilePeer.total(SmallExchange.size - 1))
                        try peer.send(type, plaintext)
                        _ = try peer.lastWords("\(type) behind FIN")
                    }
                }
                #expect(arrived.count == 0)
                try await eventually("the target's connections end") { service.active == 0 }
                #expect(service.accepted <= misdeeds.count)
                let sent = [UInt8](repeating: 9, count: SmallExchange.size - 1)
                #expect(service.visits.allSatisfy { sent.starts(with: $0.bytes) })
            }
        }

        @Test("REKEY that makes no sense closes the carrier, and one that does is answered")
        func rekey() async throws {
            let key = X25519.PrivateKey().publicKey
            try await expectClosed([
                Misdeed("an answer nobody asked for", 9, [2] + key), Misdeed("done before anything", 9, [3]),
                Misdeed("a step that is none", 9, [4]), Misdeed("step 0 with a key", 9, [0] + key),
                Misdeed("done with a key", 9, [3] + key), Misdeed("an offer without a key", 9, [1]),
                Misdeed("an offer of the zero key", 9, [1] + [UInt8](repeating: 0, count: 32)),
                Misdeed("two offers at once") { peer in
                    try peer.socket.send(peer.frame(9, [1] + key) + peer.frame(9, [1] + key))
                    // The first may have been answered before the second came.
                    if let frame = try peer.next() { try demand(frame.type == .rekey, "\(frame.type) answers REKEY") }
                },
            ])
        }

        @Test("A client that never confirms, or begins with something else, is closed by the deadline of the handshake")
        func neverConfirms() async throws {
            try await withServer { _, server, key, identity, _, arrived in
                for first in [nil, FrameType.ping, .open, .data, .bye, .rekey, .fin] {
                    let said = try await onThread {
                        let peer = try HostilePeer.pairing(with: server, key: key, as: identity)
                        if first == .open {
                            try peer.send(.open, openPlaintext("sink"))
                        } else if let first {
                            try peer.socket.send(peer.frame(first.rawValue))
                        }
                        return try peer.lastWords("\(String(describing: first)) instead of CONFIRM")
                    }
                    #expect(said.isEmpty)
                }
                #expect(arrived.count == 0)
            }
        }

        @Test("A flood of PINGs that nobody reads the answers of costs the server no memory")
        func pingFlood() async throws {
            try await withServer { tunnel, server, key, identity, _, _ in
                let facts = tunnel.server.facts
                let peer = try await onThread {
                    let peer = try HostilePeer.pairing(with: server, key: key, as: identity)
                    try peer.confirm()
                    try peer.socket.setTimeout(.seconds(1))
                    return Handover(peer)
                }
                let before = facts.residentBytes
                let sent = try await onThread {
                    // Until the server stops taking them, or has had fifty thousand.
                    var sent = 0
                    do {
                        while sent < 50_000 {
                            var burst: [UInt8] = []
                            for _ in 0..<100 { burst += try peer.value.frame(FrameType.ping.rawValue) }
                            try peer.value.socket.send(burst)
                            sent += 100
                        }
                    } catch is SocketError {}
                    return sent
                }
                #expect(sent > 1000)
                #expect(facts.residentBytes <= before + 2 << 20)
            }
        }
    }
}

/// A value that one thread hands to another and uses no more itself.
struct Handover<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
