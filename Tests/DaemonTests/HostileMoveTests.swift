// Devices that break off while one of their streams moves: the stream is reset, and whoever moves next gets its own.

import Glibc
import Pairing
import Testing
import Wire

extension OneAtATime {
    @Suite("Devices that break off while a stream moves")
    struct HostileMoveTests {
        /// How a carrier that has asked with MOVE ends before it is answered.
        enum Breaking: CaseIterable, Sendable { case reset, finish }

        /// A server, two services that write down what they get, and two devices that may each use one of them.
        private struct Two: Sendable {
            let server: Endpoint
            let key: PublicKey
            let alpha: Identity
            let beta: Identity
            let atAlpha: Notebook
            let atBeta: Notebook
        }

        private func withTwoDevices(
            shards: String = "1", _ body: @escaping @Sendable (Two) throws -> Void
        ) async throws {
            try await withScene { scene in
                let keys = try ["alpha", "beta"].map { try HostileRig.newDevice("\($0).key", in: scene) }
                let (atAlpha, atBeta) = (Notebook(), Notebook())
                let targets = [try atAlpha.service(in: scene), try atBeta.service(in: scene)]
                var plan = TunnelPlan(
                    .init(name: "alpha", target: targets[0].endpoint.description),
                    .init(name: "beta", target: targets[1].endpoint.description))
                plan.moreDevices = """
                      alpha: {key: "\(keys[0])", services: [alpha]}
                      beta: {key: "\(keys[1])", services: [beta]}

                    """
                plan.shards = shards
                // Nothing but the devices ends a carrier.
                plan.heartbeat = "60s"
                plan.deadAfter = "120s"
                plan.admission = "{pairings-per-second: 10000, pairings-at-once: 10000}"
                let tunnel = try await scene.prepareTunnel(plan)
                try await tunnel.startServer()
                let two = Two(
                    server: tunnel.serverEndpoint, key: try PublicKey(text: tunnel.serverKey),
                    alpha: try Identity.load(path: scene.path("alpha.key")),
                    beta: try Identity.load(path: scene.path("beta.key")), atAlpha: atAlpha, atBeta: atBeta)
                try await onThread { try body(two) }
                #expect(tunnel.server.end == nil)
            }
        }

        private static func breakOff(_ carrier: HostilePeer, _ how: Breaking) throws {
            switch how {
            case .reset: try carrier.socket.reset()
            case .finish: carrier.socket.close()
            }
        }

        /// Every loop has gone round a few times, and so has whatever they had to tell each other.
        private static func settle(_ carriers: HostilePeer...) throws {
            for _ in 0..<5 { for carrier in carriers { try carrier.roundTrip() } }
        }

        /// The end of a stream at its service, whichever it is.
        private static func end(of start: String, in notebook: Notebook) throws -> (text: String, end: ReceivedEnd) {
            try until("the service sees the end of \(start); it has \(notebook.all)") {
                notebook.connection(startingWith: start)?.end != nil
            }
            let (text, end) = notebook.connection(startingWith: start)!
            return (text, end!)
        }

        @Test(
            "A stream moves only to the carrier that asked for it, though another was asked for where its own died",
            arguments: ["1", "2"], Breaking.allCases)
        func twoDevices(shards: String, breaking: Breaking) async throws {
            try await withTwoDevices(shards: shards) { two in
                let alpha = try HostileDevice(pairingWith: two.server, key: two.key, as: two.alpha)
                let beta = try HostileDevice(pairingWith: two.server, key: two.key, as: two.beta)
                for number in 1...20 as ClosedRange<UInt64> {
                    let mark = "[\(number)]"
                    try alpha.first.send(records: openRecord(number, "alpha"), record(.data, number, Array(mark.utf8)))
                    try beta.first.send(records: openRecord(number, "beta"), record(.data, number, Array(mark.utf8)))
                    try until("both streams are there") {
                        two.atAlpha.connection(startingWith: mark) != nil
                            && two.atBeta.connection(startingWith: mark) != nil
                    }
                    // Alpha asks, waits for a byte that has not come, and is gone.
                    let lost = try alpha.resume()
                    try lost.move(number, total: mark.utf8.count + 1)
                    try Self.settle(alpha.first, beta.first)
                    try Self.breakOff(lost, breaking)
                    try Self.settle(alpha.first, beta.first)
                    // Beta asks, and four of the bytes that it counted are on their way.
                    let own = try beta.resume()
                    try own.move(number, total: mark.utf8.count + 4)
                    try Self.settle(alpha.first, beta.first)
                    // What alpha's claim waited for.
                    try alpha.first.send(records: record(.data, number, [33]))
                    try Self.settle(alpha.first, beta.first)
                    try beta.first.send(records: record(.data, number, Array("more".utf8)))
                    let answer = try own.next()?.type
                    try own.send(.data, Array("of beta".utf8))
                    // Whatever stream it is that this carrier has now, it has the bytes.
                    try? own.roundTrip()
                    try own.send(.fin, HostilePeer.total(mark.utf8.count + 11))
                    let rest = try own.lastFrames(upTo: .closed)
                    let ofAlpha = try Self.end(of: mark, in: two.atAlpha)
                    let foreign = two.atAlpha.all.filter { $0.contains("more") || $0.contains("beta") }
                    try demand(foreign.isEmpty, "\(mark): alpha's service got bytes of beta's: \(foreign)")
                    try demand(answer == .moved, "\(mark): \(String(describing: answer)) answers beta's MOVE")
                    try demand(rest == [.fin, .closed], "\(mark): beta's carrier says \(rest)")
                    let ofBeta = try Self.end(of: mark, in: two.atBeta)
                    try demand(ofBeta == ("\(mark)moreof beta", .orderly), "\(mark): beta's service saw \(ofBeta)")
                    try demand(ofAlpha == (mark, .reset), "\(mark): alpha's service saw \(ofAlpha)")
                    try alpha.first.awaitAbort(of: number, "a stream whose new carrier broke while it moved")
                    own.socket.close()
                }
            }
        }

        @Test(
            "Of two streams of one device each moves to its own carrier, though the one of the other died",
            arguments: ["1", "2"], Breaking.allCases)
        func oneDevice(shards: String, breaking: Breaking) async throws {
            try await withTwoDevices(shards: shards) { two in
                let alpha = try HostileDevice(pairingWith: two.server, key: two.key, as: two.alpha)
                for attempt in 0..<20 as Range<UInt64> {
                    let (one, other) = (2 * attempt + 1, 2 * attempt + 2)
                    for number in [one, other] {
                        try alpha.first.send(
                            records: openRecord(number, "alpha"), record(.data, number, Array("[\(number)]".utf8)))
                        try until("the stream is there") {
                            two.atAlpha.connection(startingWith: "[\(number)]") != nil
                        }
                    }
                    let size = "[\(one)]".utf8.count
                    let lost = try alpha.resume()
                    try lost.move(one, total: size + 1)
                    try Self.settle(alpha.first)
                    try Self.breakOff(lost, breaking)
                    try Self.settle(alpha.first)
                    let own = try alpha.resume()
                    try own.move(other, total: "[\(other)]".utf8.count + 1)
                    try Self.settle(alpha.first)
                    try alpha.first.send(records: record(.data, one, [33]))
                    try Self.settle(alpha.first)
                    try alpha.first.send(records: record(.data, other, [63]))
                    let answer = try own.next()?.type
                    let last = "last of \(other)."
                    try own.send(.data, Array(last.utf8))
                    try own.send(.fin, HostilePeer.total("[\(other)]".utf8.count + 1 + last.utf8.count))
                    let rest = try own.lastFrames(upTo: .closed)
                    let wrong = two.atAlpha.all.filter { $0.contains(last) && !$0.hasPrefix("[\(other)]") }
                    try demand(wrong.isEmpty, "bytes of stream \(other) went to another: \(wrong)")
                    try demand(answer == .moved && rest == [.fin, .closed], "\(String(describing: answer)), \(rest)")
                    let ended = try Self.end(of: "[\(other)]", in: two.atAlpha)
                    try demand(ended == ("[\(other)]?\(last)", .orderly), "the stream that moved ended as \(ended)")
                    try demand(
                        try Self.end(of: "[\(one)]", in: two.atAlpha).end == .reset, "stream \(one) was not reset")
                    try alpha.first.awaitAbort(of: one, "a stream whose new carrier broke while it moved")
                    own.socket.close()
                }
            }
        }

        @Test(
            "A stream is reset at both ends when the carrier that asked for it breaks before the answer",
            arguments: ["1", "2"], Breaking.allCases)
        func askerBreaks(shards: String, breaking: Breaking) async throws {
            try await withTwoDevices(shards: shards) { two in
                let alpha = try HostileDevice(pairingWith: two.server, key: two.key, as: two.alpha)
                for number in 1...6 as ClosedRange<UInt64> {
                    let mark = "[\(number)]"
                    try alpha.first.send(records: openRecord(number, "alpha"), record(.data, number, Array(mark.utf8)))
                    try until("the stream is there") { two.atAlpha.connection(startingWith: mark) != nil }
                    let lost = try alpha.resume()
                    try lost.move(number, total: mark.utf8.count + 1)
                    try Self.settle(alpha.first)
                    try Self.breakOff(lost, breaking)
                    let seen = try Self.end(of: mark, in: two.atAlpha)
                    try demand(seen == (mark, .reset), "the service saw \(seen)")
                    try alpha.first.awaitAbort(of: number, "a stream whose new carrier broke while it moved")
                    // Late, and so ignored.
                    try alpha.first.send(records: record(.data, number, [33]))
                    try Self.settle(alpha.first)
                }
            }
        }

        @Test(
            "A stream is reset when its shared carrier breaks before the answer, and goes on nowhere",
            arguments: ["1", "2"], Breaking.allCases)
        func sharedBreaks(shards: String, breaking: Breaking) async throws {
            try await withTwoDevices(shards: shards) { two in
                for round in 0..<4 {
                    let alpha = try HostileDevice(pairingWith: two.server, key: two.key, as: two.alpha)
                    let mark = "[\(round)]"
                    try alpha.first.send(records: openRecord(7, "alpha"), record(.data, 7, Array(mark.utf8)))
                    try until("the stream is there") { two.atAlpha.connection(startingWith: mark) != nil }
                    let asking = try alpha.resume()
                    try asking.move(7, total: mark.utf8.count + 1)
                    try Self.settle(alpha.first)
                    try Self.breakOff(alpha.first, breaking)
                    let seen = try Self.end(of: mark, in: two.atAlpha)
                    try demand(seen == (mark, .reset), "the service saw \(seen)")
                    let answer = try asking.next()?.type
                    try demand([.stays, .abort, nil].contains(answer), "\(String(describing: answer)) answers MOVE")
                    asking.socket.close()
                }
            }
        }

        @Test("Only one carrier gets a stream for which two ask, and none gets one of another device")
        func twice() async throws {
            try await withTwoDevices { two in
                let alpha = try HostileDevice(pairingWith: two.server, key: two.key, as: two.alpha)
                let beta = try HostileDevice(pairingWith: two.server, key: two.key, as: two.beta)
                try alpha.first.send(records: openRecord(5, "alpha"), record(.data, 5, [97]))
                try until("the stream is there") { two.atAlpha.connection(startingWith: "a") != nil }
                let foreign = try beta.resume()
                try foreign.move(5, total: 1)
                try demand(try foreign.next()?.type == .stays, "another device's stream was not refused")
                let (one, other) = (try alpha.resume(), try alpha.resume())
                try one.move(5, total: 2)
                try Self.settle(alpha.first)
                try other.move(5, total: 1)
                try demand(try other.next()?.type == .stays, "the second to ask was not refused")
                try alpha.first.send(records: record(.data, 5, [98]))
                try demand(try one.next()?.type == .moved, "the first to ask did not get the stream")
                try one.send(.data, [99])
                try one.send(.fin, HostilePeer.total(3))
                try demand(try one.lastFrames(upTo: .closed) == [.fin, .closed], "no orderly end")
                let seen = try Self.end(of: "a", in: two.atAlpha)
                try demand(seen == ("abc", .orderly), "the service saw \(seen)")
            }
        }

        @Test("MOVED names the stream, and how far it has come")
        func moved() async throws {
            try await withTwoDevices { two in
                let alpha = try HostileDevice(pairingWith: two.server, key: two.key, as: two.alpha)
                try alpha.first.send(records: openRecord(0x0102_0304_0506_0708, "alpha"))
                try alpha.first.send(records: record(.data, 0x0102_0304_0506_0708, [97]))
                try until("the stream is there") { two.atAlpha.connection(startingWith: "a") != nil }
                let own = try alpha.resume()
                try own.move(0x0102_0304_0506_0708, total: 1)
                let answer = try own.next()
                try demand(answer?.type == .moved, "\(String(describing: answer)) answers MOVE")
                try demand(
                    answer?.plaintext == [1, 2, 3, 4, 5, 6, 7, 8] + progress(0),
                    "MOVED says \(answer?.plaintext ?? [])")
            }
        }
    }
}

extension HostilePeer {
    /// The frames that come until one of this type has, or the carrier ends.
    func lastFrames(upTo type: FrameType) throws -> [FrameType] {
        var types: [FrameType] = []
        while let frame = try next() {
            types.append(frame.type)
            if frame.type == type { break }
        }
        return types
    }
}
