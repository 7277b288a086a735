// The rung of the handshakes: both ends of a pairing and of a resume in memory, on one thread.
import Codec
import Pairing
import Wire

extension Ladder {
    static func measurePairing(_ table: inout Table) throws {
        let bench = PairingBench()
        let pairing = try Stopwatch.cost { count in for _ in 0..<count { try bench.pair() } }
        table.add(Line("pairing", "PAIR to CONFIRM", per: "pairing", pairing, note: "both ends together"))

        var ends = try bench.handshake()
        let resume = try Stopwatch.cost { count in for _ in 0..<count { try bench.resume(&ends) } }
        table.add(
            Line(
                "pairing", "RESUME to CONFIRM", per: "carrier", resume,
                note: "both ends together"))
    }

    static func countPairings(_ count: Int) throws {
        let bench = PairingBench()
        for _ in 0..<count { try bench.pair() }
    }

    static func countResumes(_ count: Int) throws {
        let bench = PairingBench()
        var ends = try bench.handshake()
        for _ in 0..<count { try bench.resume(&ends) }
    }
}

/// A device and a server that know each other's keys.
private struct PairingBench {
    private let device = Identity.generate()
    private let server = Identity.generate()
    private let mint: ConversationIDMint
    private let cipher = FrameCipher()
    private let start = Moment(milliseconds: 1_800_000_000_000)

    init() { mint = ConversationIDMint(server) }

    /// PAIR made and answered, PAIRED received, CONFIRM sent and checked.
    func pair() throws {
        var ends = try handshake()
        try confirm(&ends.device.keys, &ends.server.keys)
    }

    /// RESUME made and answered, ACCEPT received, CONFIRM sent and checked.
    func resume(_ ends: inout Ends) throws {
        let initiator = try ResumeInitiator(conversation: &ends.device.conversation, identity: device, at: start)
        var response = try ResumeResponder.respond(
            to: initiator.message, conversation: &ends.server.conversation, identity: server, at: start)
        var keys = try initiator.receive(accept: response.reply)
        try confirm(&keys, &response.keys)
    }

    /// What both ends hold after a pairing.
    struct Ends: ~Copyable {
        var device: Paired
        var server: Paired
    }

    /// Everything of a pairing but its confirmation.
    func handshake() throws -> Ends {
        let initiator = try PairInitiator(identity: device, server: server.publicKey)
        let response = try PairResponder.respond(
            to: initiator.message, identity: server, mint: mint, lifetimes: Lifetimes(),
            isKnown: { $0 == device.publicKey }, at: start)
        let paired = try initiator.receive(response.reply, at: start)
        return Ends(device: paired, server: response.paired)
    }

    private func confirm(_ near: inout CarrierKeys, _ far: inout CarrierKeys) throws {
        try withUnsafeTemporaryAllocation(byteCount: FrameHeader.size + FrameHeader.tagSize, alignment: 16) { frame in
            let bytes = frame.baseAddress!
            let encoder = try near.sending.makeEncoder()
            FrameHeader(type: .confirm, length: 0, nonce: encoder.nonce).write(to: bytes)
            encoder.encode(frame: bytes, count: 0, with: cipher)
            let decoder = try far.receiving.makeDecoder(nonce: try FrameHeader(parsing: bytes).nonce)
            try decoder.decode(frame: bytes, count: 0, with: cipher)
        }
        cipher.scrub()
    }
}
