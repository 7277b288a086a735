// A device and a server back to back in memory, with a clock that tests set.

import Codec

@testable import Pairing

/// What both ends hold after a pairing.
struct TestPair: ~Copyable {
    var device: Paired
    var server: Paired
}

/// The two ends before they have met.
struct TestEnds: Sendable {
    let device = Identity.generate()
    let server = Identity.generate()
    let lifetimes: Lifetimes
    let start = Moment(milliseconds: 1_800_000_000_000)

    init(lifetimes: Lifetimes = Lifetimes()) { self.lifetimes = lifetimes }

    func initiate(psk: consuming Secret? = nil) throws(PairingError) -> PairInitiator {
        try PairInitiator(identity: device, server: server.publicKey, psk: psk)
    }

    func respond(to pair: [UInt8], psk: consuming Secret? = nil) throws(PairingError) -> PairResponse {
        try PairResponder.respond(
            to: pair, identity: server, psk: psk, mint: ConversationIDMint(server), lifetimes: lifetimes,
            isKnown: { $0 == device.publicKey }, at: start)
    }

    /// A whole good pairing.
    func pair() throws(PairingError) -> TestPair {
        let initiator = try initiate()
        let response = try respond(to: initiator.message)
        let device = try initiator.receive(response.reply, at: start)
        return TestPair(device: device, server: response.paired)
    }

    /// `pair` with mac1 made right again, as somebody can who knows the server's public key.
    func withValidMac(_ message: [UInt8]) -> [UInt8] {
        let covered = [UInt8](message.dropLast(16))
        return covered + Mac1.code(of: covered, server: server.publicKey)
    }
}

/// The error `body` throws; nil if it throws none.
func refusal<R: ~Copyable>(_ body: () throws(PairingError) -> R) -> PairingError? {
    do {
        _ = try body()
        return nil
    } catch { return error }
}

extension Secret {
    /// What only a test may do: the bytes as an array.
    var exposed: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}
