// The tap itself, between plain sockets: if it lied, every test that leans on it would prove nothing.

import Testing

@Suite("The tap on the carrier", .timeLimit(.minutes(1)))
struct HostileTapTests {
    /// Units as the tap sees them; the bodies mean nothing.
    private static let resume: [UInt8] = [0x4F, 0x57, 1, 3] + [UInt8](repeating: 7, count: 100)
    private static let accept: [UInt8] = [0x4F, 0x57, 1, 4] + [UInt8](repeating: 8, count: 64)

    private static func frame(_ type: UInt8, _ number: UInt8, length: Int = 5) -> [UInt8] {
        [type, 0, 0, 0, 0, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0, 0, 0, 0, 0, number]
            + [UInt8](repeating: 0xA0 + number, count: length + 16)
    }

    private static let sent: [[UInt8]] = [
        resume, frame(1, 0, length: 36), frame(2, 1, length: 300), frame(2, 2), frame(3, 3, length: 8),
    ]

    /// Sends the units through a tap with this policy; returns what came out at the far end and how it ended.
    private func through(
        _ policy: @escaping HostileTap.Policy
    ) async throws -> (bytes: [UInt8], end: ReceivedEnd, back: [UInt8], tap: HostileTap) {
        let listener = try ListeningSocket()
        let tap = try HostileTap(to: listener.endpoint)
        tap.setPolicy(policy)
        let endpoint = tap.endpoints[0]
        return try await onThread {
            defer { tap.stop() }
            let near = try Socket.connect(to: endpoint)
            guard let far = try listener.accept() else { throw TunnelError(description: "nothing came through") }
            try near.send(Self.sent.flatMap { $0 })
            // The tap may have cut the carrier by now.
            try? near.finish()
            let got = far.received()
            try? far.finish()
            return (got.bytes, got.end, near.received().bytes, tap)
        }
    }

    private func applying(_ manipulation: Manipulation, toUnit index: Int) -> HostileTap.Policy {
        { unit, place in
            place.index == index && place.direction == .toServer ? manipulation.verdict(on: unit) : .pass(unit)
        }
    }

    @Test("An untouched carrier arrives byte for byte and is recorded unit by unit")
    func passes() async throws {
        let result = try await through { unit, _ in .pass(unit) }
        #expect(result.bytes == Self.sent.flatMap { $0 })
        #expect(result.end == .orderly)
        let recorded = result.tap.recorded(carrier: 0, .toServer)
        #expect(recorded.map(\.bytes) == Self.sent)
        #expect(recorded.map(\.kind) == [CarrierUnit.resume, CarrierUnit.open, CarrierUnit.data, .frame(2), .frame(3)])
    }

    @Test("Units are cut out of a byte stream however it is split")
    func splits() {
        let whole = Self.sent.flatMap { $0 } + Self.accept
        for first in 0...whole.count {
            var splitter = CarrierSplitter()
            let units = splitter.take(whole[..<first]) + splitter.take(whole[first...])
            #expect(units.map(\.bytes) == Self.sent + [Self.accept])
            #expect(splitter.rest.isEmpty)
        }
    }

    @Test("A flip changes exactly one bit of exactly one unit")
    func flips() async throws {
        var expected = Self.sent
        expected[2][17] ^= 0x40
        let result = try await through(applying(.flip(offset: 17, mask: 0x40), toUnit: 2))
        #expect(result.bytes == expected.flatMap { $0 })
    }

    @Test(
        "Whole units can be dropped, doubled, swapped, preceded and replaced",
        arguments: [
            (Manipulation.drop, [0, 1, 3, 4]), (.duplicate, [0, 1, 2, 2, 3, 4]), (.swapWithNext, [0, 1, 3, 2, 4]),
            (.precede(sent[1]), [0, 1, 1, 2, 3, 4]), (.replace(sent[0]), [0, 1, 0, 3, 4]),
            (.delay(milliseconds: 30), [0, 1, 2, 3, 4]),
        ])
    func rearranges(manipulation: Manipulation, order: [Int]) async throws {
        let result = try await through(applying(manipulation, toUnit: 2))
        #expect(result.bytes == order.flatMap { Self.sent[$0] })
        #expect(result.end == .orderly)
    }

    @Test("A unit held for a swap is not lost when no other follows")
    func swapsLast() async throws {
        let result = try await through(applying(.swapWithNext, toUnit: 4))
        #expect(result.bytes == Self.sent.flatMap { $0 })
    }

    @Test("A reflected unit comes back to its sender")
    func reflects() async throws {
        let result = try await through(applying(.reflect(alsoForward: false), toUnit: 2))
        #expect(result.back == Self.sent[2])
        #expect(result.bytes == [0, 1, 3, 4].flatMap { Self.sent[$0] })
    }

    @Test("A truncated carrier ends after exactly the bytes kept", arguments: [Verdict.Ending.fin, .reset])
    func truncates(ending: Verdict.Ending) async throws {
        let result = try await through(applying(.truncate(keeping: 9, ending), toUnit: 2))
        #expect(result.bytes == Self.sent[0] + Self.sent[1] + Self.sent[2].prefix(9))
        #expect(result.end == (ending == .fin ? .orderly : .reset))
    }

    @Test("Garbage can be put in at any offset")
    func inserts() async throws {
        let result = try await through(applying(.insert([1, 2, 3], offset: 20), toUnit: 2))
        let expected = Self.sent[2].prefix(20) + [1, 2, 3] + Self.sent[2].dropFirst(20)
        #expect(result.bytes == Self.sent[0] + Self.sent[1] + expected + Self.sent[3] + Self.sent[4])
    }

    @Test("Cutting a lane resets both ends of its carriers")
    func cuts() async throws {
        let listener = try ListeningSocket()
        let tap = try HostileTap(to: listener.endpoint)
        defer { tap.stop() }
        let ends = try await onThread {
            let near = try Socket.connect(to: tap.endpoints[0])
            guard let far = try listener.accept() else { throw TunnelError(description: "nothing came through") }
            try near.send(Self.resume)
            try demand(far.receive(exactly: Self.resume.count) == Self.resume, "something else came through")
            tap.breakCarriers(of: 0)
            return [near.received().end, far.received().end]
        }
        #expect(ends == [.reset, .reset])
    }
}
