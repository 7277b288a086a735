import Testing
import Wire

@testable import Relay

@Suite struct HandshakeReaderTests {
    private let bench: Bench
    private let endpoint: Endpoint
    private let peer: TestSocket

    init() throws {
        bench = try Bench()
        (endpoint, peer) = bench.connection()
    }

    private static func message(_ kind: HandshakeKind) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(kind.rawValue))
        let preamble = HandshakeMessage.preamble(of: kind)
        return preamble + generator.bytes(HandshakeMessage.size(of: kind) - preamble.count)
    }

    /// Says what `reader` makes of `bytes` once they are there.
    private func read(_ reader: inout HandshakeReader, after bytes: some Collection<UInt8>) -> HandshakeReader.Outcome {
        peer.write(bytes)
        bench.turn()
        return reader.read(from: endpoint)
    }

    private func isMore(_ outcome: HandshakeReader.Outcome) -> Bool {
        if case .more = outcome { true } else { false }
    }

    private func isUseless(_ outcome: HandshakeReader.Outcome) -> Bool {
        if case .useless = outcome { true } else { false }
    }

    private func expect(_ outcome: HandshakeReader.Outcome, is kind: HandshakeKind, _ bytes: [UInt8]) {
        guard case .message(kind, bytes) = outcome else {
            Issue.record("\(outcome) instead of the message")
            return
        }
    }

    @Test(
        "A message split at any byte is read whole, and what follows it is left alone",
        arguments: HandshakeKind.allCases)
    func splits(_ kind: HandshakeKind) {
        let message = Self.message(kind)
        for split in 1..<message.count {
            var reader = HandshakeReader(wanted: [kind])
            #expect(!reader.hasBegun)
            #expect(isMore(read(&reader, after: message[..<split])), "split at \(split)")
            #expect(reader.hasBegun)
            expect(read(&reader, after: message[split...] + [0xAA, 0xBB, 0xCC]), is: kind, message)
            #expect(peek(3) == [0xAA, 0xBB, 0xCC], "split at \(split)")
        }
    }

    /// What is unread on the reader's side, taken.
    private func peek(_ count: Int) -> [UInt8] {
        var rest = [UInt8](repeating: 0, count: count)
        guard case .moved(let got) = endpoint.read(&rest, count) else { return [] }
        return Array(rest[..<got])
    }

    @Test("A message that comes byte by byte is read")
    func byteByByte() {
        let message = Self.message(.resume)
        var reader = HandshakeReader(wanted: [.pair, .resume])
        for byte in message.dropLast() { #expect(isMore(read(&reader, after: [byte]))) }
        expect(read(&reader, after: message.suffix(1)), is: .resume, message)
    }

    @Test("Nothing read yet is no reason to give up")
    func silence() {
        var reader = HandshakeReader(wanted: [.pair])
        #expect(isMore(read(&reader, after: [])))
        #expect(!reader.hasBegun)
    }

    @Test(
        "Four bytes that are no preamble end it, and not a byte more is read",
        arguments: [
            [0x47, 0x45, 0x54, 0x20], [0x4F, 0x57, 0x02, 0x01], [0x4F, 0x57, 0x01, 0x00], [0x4F, 0x57, 0x01, 0x06],
            [0x00, 0x00, 0x00, 0x00], [0x4F, 0x58, 0x01, 0x01],
        ] as [[UInt8]])
    func garbage(_ bytes: [UInt8]) {
        var reader = HandshakeReader(wanted: HandshakeKind.allCases)
        #expect(isUseless(read(&reader, after: bytes + [1, 2, 3])))
        #expect(peek(8) == [1, 2, 3])
    }

    @Test(
        "A message of a kind that is not wanted is not read further than its preamble",
        arguments: HandshakeKind.allCases)
    func wrongKind(_ kind: HandshakeKind) {
        let message = Self.message(kind)
        var reader = HandshakeReader(wanted: HandshakeKind.allCases.filter { $0 != kind })
        #expect(isUseless(read(&reader, after: message)))
        #expect(peek(4096) == Array(message[4...]))
    }

    @Test("A peer that closes, at the start or in the middle, is useless", arguments: [0, 3, 4, 50])
    func closed(_ sent: Int) {
        var reader = HandshakeReader(wanted: [.resume])
        #expect(isMore(read(&reader, after: Self.message(.resume)[..<sent])))
        peer.close()
        #expect(isUseless(read(&reader, after: [])))
    }
}
