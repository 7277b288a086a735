// A daemon as it is released moves frames of every size, sleeps, and root searches its memory for every frame's key.
// The peer is the test, which has the carrier's entropy and so can compute them all.

import Glibc
import Pairing
import Testing
import Wire

@testable import Codec

extension OneAtATime {
    @Suite(
        "Keys of frames that must not stay",
        .enabled(if: releaseBinary != nil && getuid() == 0, "needs root, and swift build -c release --product oncewire")
    )
    struct FrameKeyTests {
        /// What goes there and comes back, one after the other: frames of all sizes, the largest in a row and alone.
        private static let sizes = [1, 65_536, 100, 16_384, 32 * 65_536, 1_000, 65_536]

        /// A carrier after all of it, and what was computed of its frames.
        private struct Moved: Sendable {
            let peer: Handover<HostilePeer>
            let needles: Needles
            let witness: Needles
            let fullFrames: Int
        }

        /// A machine as libcrypto and BoringSSL see it: what they compute with decides how much stack they use.
        enum Processor: String, CaseIterable, Sendable {
            case asItIs = ""
            case withoutSHA = ":~0x20000000"
            case withoutVAES = ":~0x600f0010000"
            case withoutAVX2 = ":~0x600f0010020"

            var environment: [String: String] { self == .asItIs ? [:] : ["OPENSSL_ia32cap": rawValue] }
        }

        /// Stays open until the scene ends: nothing may happen that makes the loop work again.
        private static func hold(_ socket: Socket) throws { _ = try socket.receive() }

        private static func plan(_ target: Endpoint) -> TunnelPlan {
            TunnelPlan(to: target).with {
                $0.carrier = "own"
                $0.heartbeat = "60s"
                $0.deadAfter = "120s"
                $0.pool = "{min-idle: 1, max-idle: 4}"
                $0.shards = "1"
                $0.logLevel = "warning"
            }
        }

        /// Receives frames until `size` bytes of DATA are there; how many of them were as large as a frame can be.
        private static func take(_ size: Int, from peer: HostilePeer) throws -> Int {
            var (received, full) = (0, 0)
            while received < size {
                guard let frame = try peer.next() else { throw TunnelError(description: "the carrier ended") }
                guard frame.type == .data else { continue }
                received += frame.plaintext.count
                if frame.plaintext.count == FrameHeader.maxPlaintext { full += 1 }
            }
            return full
        }

        private static func give(_ size: Int, to peer: HostilePeer) throws {
            for start in stride(from: 0, to: size, by: FrameHeader.maxPlaintext) {
                try peer.send(.data, [UInt8](repeating: 7, count: min(size - start, FrameHeader.maxPlaintext)))
            }
        }

        private static func moved(_ peer: HostilePeer, _ fullFrames: Int) -> Moved {
            let (sent, received) = (peer.keys.sending.next, peer.keys.receiving.next)
            let needles =
                peer.keys.sending.inputs.remains(of: 0..<sent, "to the daemon")
                + peer.keys.receiving.inputs.remains(of: 0..<received, "from the daemon")
            let witness = Needles([
                (peer.keys.sending.inputs.witness(), "receiving"), (peer.keys.receiving.inputs.witness(), "sending"),
            ])
            return Moved(peer: Handover(peer), needles: Needles(needles), witness: witness, fullFrames: fullFrames)
        }

        private func expectNoKeys(of moved: Moved, in daemon: Child) async throws {
            let memory = ProcessMemory(pid: daemon.pid)
            #expect(moved.fullFrames > 0, "no frame of 65,536 bytes came from the daemon")
            #expect(moved.needles.count > 70 * 25)
            #expect(Set(try memory.found(moved.witness).map(\.name)) == ["sending", "receiving"])
            // It may not have gone to sleep yet.
            var found: [(name: String, mapping: String)] = []
            do {
                try await eventually("no frame's key is in the memory of \(daemon.name)", within: .seconds(5)) {
                    found = try memory.found(moved.needles)
                    return found.isEmpty
                }
            } catch is TimedOut {
                let list = found.prefix(20).map { "\($0.name) at \($0.mapping)" }.joined(separator: "\n")
                Issue.record("\(found.count) remains of frames in \(daemon.name):\n\(list)")
            }
            #expect(daemon.end == nil)
        }

        @Test(
            "A server of a release build that sleeps holds no key of any frame it received or sent",
            arguments: Processor.allCases)
        func server(on processor: Processor) async throws {
            try await withScene { scene in
                let serverKey = try HostileRig.newDevice("server.key", in: scene)
                let device = try HostileRig.newDevice("hostile.key", in: scene)
                let service = try scene.service { visitor in
                    for size in Self.sizes {
                        _ = try visitor.receive(exactly: size)
                        try visitor.send([UInt8](repeating: 9, count: size))
                    }
                    try Self.hold(visitor)
                }
                try scene.write(Self.plan(service.endpoint).serverYAML(deviceKey: device), to: "server.yaml")
                let server = try scene.start(
                    releaseBinary!, ["server", "--config", scene.path("server.yaml")],
                    environment: processor.environment)
                let endpoint: Endpoint = try await eventually("the server is ready") {
                    server.output.split(separator: " ").last.flatMap {
                        Endpoint($0.prefix { !$0.isWhitespace && $0 != "," })
                    }
                }
                let key = try PublicKey(text: serverKey)
                let identity = try Identity.load(path: scene.path("hostile.key"))
                let moved = try await onThread {
                    let peer = try HostilePeer.pairing(with: endpoint, key: key, as: identity)
                    try peer.confirm()
                    try peer.send(.open, openPlaintext("sample"))
                    var full = 0
                    for size in Self.sizes {
                        try Self.give(size, to: peer)
                        full += try Self.take(size, from: peer)
                    }
                    return Self.moved(peer, full)
                }
                try await expectNoKeys(of: moved, in: server)
            }
        }

        @Test(
            "A client of a release build that sleeps holds no key of any frame it received or sent",
            arguments: Processor.allCases)
        func client(on processor: Processor) async throws {
            try await withScene { scene in
                let serverKey = try HostileRig.newDevice("server.key", in: scene)
                _ = try HostileRig.newDevice("client.key", in: scene)
                let identity = try Identity.load(path: scene.path("server.key"))
                let carriers = Inbox<Moved>()
                let listener = try ListeningSocket()
                scene.atEnd { listener.close() }
                startThread {
                    while let carrier = try? listener.accept() {
                        startThread { try? Self.serve(carrier, as: identity, carriers) }
                    }
                }
                try scene.write(
                    Self.plan(.loopback(9)).clientYAML(serverAddress: listener.endpoint, serverKey: serverKey),
                    to: "client.yaml")
                let client = try scene.start(
                    releaseBinary!, ["client", "--config", scene.path("client.yaml")],
                    environment: processor.environment)
                let endpoint = try await HostileRig.readyEndpoint(of: client)
                let app = try await onThread {
                    let app = try Socket.connect(to: endpoint)
                    for size in Self.sizes {
                        try app.send([UInt8](repeating: 9, count: size))
                        _ = try app.receive(exactly: size)
                    }
                    return app
                }
                let moved = try await carriers.next("the stream's carrier")
                try await expectNoKeys(of: moved, in: client)
                app.close()
            }
        }

        /// Pairs with whoever comes and sends back as much as comes in on the carrier's stream.
        private static func serve(_ carrier: Socket, as identity: Identity, _ carriers: Inbox<Moved>) throws {
            guard try carrier.peek(HandshakeMessage.preambleSize) == HandshakeMessage.preamble(of: .pair) else {
                _ = try carrier.receive(exactly: ResumeMessage.size)
                return try carrier.send(HandshakeMessage.reject)
            }
            let peer = try HostilePeer.answering(carrier, as: identity)
            try peer.confirmed()
            guard try peer.next()?.type == .open else { return }
            var full = 0
            for size in sizes {
                full += try take(size, from: peer)
                try give(size, to: peer)
            }
            carriers.put(moved(peer, full))
            while try peer.next() != nil {}
        }
    }
}
