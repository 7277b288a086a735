// A paired device that floods its server with records that cost much and weigh little: an honest client beside it is
// answered meanwhile, and what the flood took comes back.

import Foundation
import Glibc
import Pairing
import Synchronization
import Testing
import Wire

extension OneAtATime {
    @Suite("Floods of a paired device")
    struct HostileFloodTests {
        /// An application of an honest client that asks, waits for the answer, and asks again.
        private final class Neighbour: Sendable {
            private let stop = Flag()
            private let count = Atomic<Int>(0)
            private let result = Inbox<String?>()

            /// Answers so far.
            var answers: Int { count.load(ordering: .relaxed) }

            init(asking endpoint: Endpoint) {
                startThread { [self] in
                    do {
                        let socket = try Socket.connect(to: endpoint)
                        try socket.setNoDelay()
                        var pattern = Pattern(seed: 71)
                        while !stop.isSet {
                            let question = pattern.bytes(64)
                            try socket.send(question)
                            try demand(try socket.receive(exactly: 64) == question, "an answer came back changed")
                            count.add(1, ordering: .relaxed)
                        }
                        result.put(nil)
                    } catch {
                        result.put("\(error)")
                    }
                }
            }

            /// Stops asking; returns what went wrong.
            func end() async throws -> String? {
                stop.set()
                return try await result.next("the neighbour's last answer")
            }
        }

        /// A server, an honest client, and a device that floods.
        private struct Scenery: Sendable {
            let tunnel: Tunnel
            let key: PublicKey
            let identity: Identity
            let sink: Sink

            func device() throws -> HostileDevice {
                try HostileDevice(
                    pairingWith: tunnel.serverEndpoint, key: key, as: identity, timeout: .seconds(60))
            }
        }

        /// Takes the connections of the flood on one thread: it counts, reads what comes and answers nothing.
        private final class Sink: Sendable {
            private let listener: ListeningSocket
            private let open = Mutex<[Socket]>([])
            private let count = Atomic<Int>(0)
            private let total = Atomic<Int>(0)
            var endpoint: Endpoint { listener.endpoint }
            /// Connections that have come.
            var accepted: Int { count.load(ordering: .acquiring) }
            /// Bytes that have come to those that are read.
            var bytes: Int { total.load(ordering: .acquiring) }

            /// `reading`: a thread for each connection; otherwise they are only held.
            init(reading: Bool) throws {
                _ = descriptorLimit
                listener = try ListeningSocket()
                startThread { [self] in
                    while let connection = try? listener.accept() {
                        count.add(1, ordering: .releasing)
                        open.withLock { $0.append(connection) }
                        if reading { startThread { self.read(connection) } }
                    }
                }
            }

            private func read(_ connection: Socket) {
                while let more = try? connection.receive(), !more.isEmpty {
                    total.add(more.count, ordering: .releasing)
                }
            }

            func close() {
                listener.close()
                for connection in open.withLock({ $0 }) { connection.interrupt() }
                open.withLock { $0 = [] }
            }
        }

        private func withScenery(reading: Bool, _ body: (Scenery, Neighbour) async throws -> Void) async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let sink = try Sink(reading: reading)
                scene.atEnd { sink.close() }
                let flooder = try HostileRig.newDevice("flooder.key", in: scene)
                var plan = TunnelPlan(
                    .init(name: "echo", target: echo.endpoint.description),
                    .init(name: "sink", target: sink.endpoint.description))
                plan.moreDevices = "  flooder: {key: \"\(flooder)\", services: [sink]}\n"
                plan.shards = "1"
                plan.heartbeat = "60s"
                plan.deadAfter = "120s"
                plan.logLevel = "warning"
                let tunnel = try await scene.tunnel(plan)
                let scenery = Scenery(
                    tunnel: tunnel, key: try PublicKey(text: tunnel.serverKey),
                    identity: try Identity.load(path: scene.path("flooder.key")), sink: sink)
                let neighbour = Neighbour(asking: tunnel.endpoint("echo"))
                try await eventually("the neighbour is answered") { neighbour.answers >= 100 }
                let before = (tunnel.server.facts.openDescriptors, tunnel.server.facts.residentBytes)
                try await body(scenery, neighbour)
                let answers = neighbour.answers
                try await eventually("the neighbour is still answered") { neighbour.answers >= answers + 100 }
                #expect(try await neighbour.end() == nil)
                try await eventually("the server's descriptors come back", within: .seconds(10)) {
                    tunnel.server.facts.openDescriptors <= before.0 + 4
                }
                let after = tunnel.server.facts.residentBytes
                #expect(after < before.1 + 48 << 20, "the server grew from \(before.1) to \(after) bytes")
                try await tunnel.stop()
            }
        }

        /// Sends `flood`, waits until the server is through with it, and demands that the neighbour was answered once for
        /// every `share` records of it.
        private func demandAnswers(
            during flood: [UInt8], of records: Int, share: Int, on peer: HostilePeer, _ neighbour: Neighbour
        ) throws {
            let before = neighbour.answers
            do {
                try peer.socket.send(flood)
                try peer.roundTrip()
            } catch {
                // A server may end the carrier of a flood. A neighbour who had to wait for that shows below.
                try until("the neighbour is answered") { neighbour.answers > before + 10 }
                return
            }
            let answers = neighbour.answers - before
            try demand(
                answers >= records / share,
                "\(answers) answers while \(records) records came, fewer than one for \(share)")
        }

        @Test("Bundles full of one-byte DATA do not keep a neighbour waiting")
        func oneByteRecords() async throws {
            try await withScenery(reading: true) { scenery, neighbour in
                try await onThread {
                    let peer = try scenery.device().first
                    let streams = 1...20 as ClosedRange<UInt64>
                    for stream in streams { try peer.send(records: openRecord(stream, "sink")) }
                    try until("the streams are connected") { scenery.sink.accepted == streams.count }
                    var bundle: [UInt8] = []
                    for _ in 0..<252 { for stream in streams { bundle += record(.data, stream, [0]) } }
                    // Less than a window of each stream, so that no CREDIT is needed.
                    let bundles = 128
                    var flood: [UInt8] = []
                    for _ in 0..<bundles { flood += try peer.frame(FrameType.bundle.rawValue, bundle) }
                    let records = bundles * 252 * streams.count
                    try demandAnswers(during: flood, of: records, share: 10_000, on: peer, neighbour)
                    try until("every byte has come", within: .seconds(30)) { scenery.sink.bytes == records }
                    peer.socket.close()
                }
            }
        }

        @Test("OPEN and ABORT in turn do not keep a neighbour waiting")
        func openAndAbort() async throws {
            try await withScenery(reading: false) { scenery, neighbour in
                try await onThread {
                    let peer = try scenery.device().first
                    var flood: [UInt8] = []
                    for first in stride(from: 1, to: 30_001, by: 1000) {
                        var bundle: [UInt8] = []
                        for stream in UInt64(first)..<UInt64(first + 1000) {
                            bundle += openRecord(stream, "sink") + record(.abort, stream, [5])
                        }
                        flood += try peer.frame(FrameType.bundle.rawValue, bundle)
                    }
                    try demandAnswers(during: flood, of: 60_000, share: 2000, on: peer, neighbour)
                    peer.socket.close()
                }
            }
        }

        @Test("Ten thousand OPENs at once do not keep a neighbour waiting, and their descriptors come back")
        func opens() async throws {
            try await withScenery(reading: false) { scenery, neighbour in
                try await onThread {
                    let peer = try scenery.device().first
                    var flood: [UInt8] = []
                    for first in stride(from: 1, to: 10_001, by: 1000) {
                        let bundle = (UInt64(first)..<UInt64(first + 1000)).flatMap { openRecord($0, "sink") }
                        flood += try peer.frame(FrameType.bundle.rawValue, bundle)
                    }
                    try demandAnswers(during: flood, of: 10_000, share: 500, on: peer, neighbour)
                    try peer.socket.reset()
                }
            }
        }

        @Test("MOVE for streams that are not there, again and again, does not keep a neighbour waiting")
        func moves() async throws {
            try await withScenery(reading: false) { scenery, neighbour in
                try await onThread {
                    let device = try scenery.device()
                    let peer = try device.resume()
                    var flood: [UInt8] = []
                    for stream in 1...20_000 as ClosedRange<UInt64> {
                        flood += try peer.frame(FrameType.move.rawValue, HostilePeer.bigEndian(stream) + progress(0))
                    }
                    try demandAnswers(during: flood, of: 20_000, share: 1000, on: peer, neighbour)
                    peer.socket.close()
                    device.first.socket.close()
                }
            }
        }

        @Test("CREDIT that does not advance ends the carrier", arguments: [0, 1, 65_536])
        func creditWithoutProgress(credited: Int) async throws {
            try await withScene { scene in
                let service = try scene.service { connection in
                    try connection.send([UInt8](repeating: 1, count: 65_536))
                    _ = connection.received()
                }
                let hostile = try HostileRig.newDevice("hostile.key", in: scene)
                let plan = TunnelPlan(to: service.endpoint).with {
                    $0.moreDevices = "  hostile: {key: \"\(hostile)\", services: [sample]}\n"
                    $0.heartbeat = "60s"
                    $0.deadAfter = "120s"
                }
                let tunnel = try await scene.prepareTunnel(plan)
                try await tunnel.startServer()
                let key = try PublicKey(text: tunnel.serverKey)
                let identity = try Identity.load(path: scene.path("hostile.key"))
                let said = try await onThread {
                    let peer = try HostileDevice(
                        pairingWith: tunnel.serverEndpoint, key: key, as: identity, timeout: .seconds(5)
                    ).first
                    try peer.send(records: openRecord(1, "sample"))
                    var count = 0
                    while count < 65_536, let records = try peer.nextRecords() {
                        for record in records where record.kind == .data { count += record.payload.count }
                    }
                    if credited > 0 {
                        try peer.send(records: record(.credit, 1, HostilePeer.total(credited)))
                        try peer.roundTrip()
                    }
                    try peer.send(records: record(.credit, 1, HostilePeer.total(credited)))
                    return try peer.lastWords("a CREDIT of \(credited) that does not advance")
                }
                #expect(said.allSatisfy { [.abort, .bundle].contains($0) }, "the server said \(said)")
                #expect(tunnel.server.end == nil)
            }
        }
    }
}
