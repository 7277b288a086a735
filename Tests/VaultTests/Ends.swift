// Real pairings, so that the vault's tests hold real conversations.

@testable import Pairing

/// A device and a server that pair in memory. Epoch 10 s, idle 100 s, lifetime 1000 s.
struct Ends: Sendable {
    let device = Identity.generate()
    let server = Identity.generate()
    let mint: ConversationIDMint
    let lifetimes = Lifetimes(epoch: .seconds(10), idle: .seconds(100), lifetime: .seconds(1000))
    let start = Moment(milliseconds: 1_800_000_000_000)

    init() { mint = ConversationIDMint(server) }

    /// What a server would store after a pairing at `now`, under an id of the test's choice.
    func conversation(id: ConversationID, at now: Moment) throws(PairingError) -> Conversation {
        let initiator = try PairInitiator(identity: device, server: server.publicKey)
        let response = try PairResponder.respond(
            to: initiator.message, identity: server, psk: nil, lifetimes: lifetimes, isKnown: { _ in true }, at: now,
            fresh: PairResponder.Fresh(ephemerals: Ephemerals(), id: id))
        let paired = response.paired
        return paired.conversation
    }
}
