// A connection that has not proved itself. It gets no byte back until a message with a valid mac1 and a
// valid device key has come; everything else is closed in silence, at once or at an absolute deadline.
internal import Codec
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

/// A fresh connection to the server, until it is a carrier. Not thread-safe: it belongs to one shard.
final class Newcomer: Driver, Sleeper {
    let ticket = Ticket()
    private unowned let role: ServerRole
    private let shared: ServerShared
    private let endpoint: Endpoint
    let address: SocketAddress
    private let since: Nanoseconds
    private var reader = HandshakeReader(wanted: [.pair, .resume])
    private var deadline: Timer?
    /// PAIR is with a worker: nothing is read meanwhile.
    private var isBeingAnswered = false

    init(_ endpoint: Endpoint, from address: SocketAddress, role: ServerRole) {
        self.endpoint = endpoint
        self.address = address
        self.role = role
        shared = role.shared
        since = role.shard.now
    }

    /// Begins to listen to the connection.
    func begin() {
        endpoint.driver = self
        deadline = role.shard.arm(self, after: role.roster.settings.admission.firstByte.nanoseconds)
    }

    func advance() {
        guard endpoint.isOpen, !isBeingAnswered else { return }
        switch reader.read(from: endpoint) {
        case .more: return
        case .useless(let why): turnAway(why)
        case .message(.pair, let message): pair(message)
        case .message(_, let message): resume(message)
        }
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        let handshake = role.roster.settings.admission.handshake.nanoseconds
        guard reader.hasBegun, now &- since < handshake else { return turnAway("no handshake in time") }
        deadline = role.shard.arm(self, after: since &+ handshake &- now)
    }

    /// Closes without a word.
    func turnAway(_ why: String) {
        deadline?.cancel()
        endpoint.close()
        role.shard.counters.strangers &+= 1
        role.shard.emit(.stranger(address.text, why))
        role.gone(self)
    }

    // MARK: PAIR

    private func pair(_ message: [UInt8]) {
        guard PairResponder.hasValidMac(message, server: shared.identity.publicKey) else {
            return turnAway("wrong mac1")
        }
        guard shared.admission.admit(address, now: role.shard.now) else { return turnAway("too many pairings") }
        isBeingAnswered = true
        let answer = Answer(self)
        let mailbox = role.shard.mailbox
        let shared = shared
        let roster = role.roster
        let isQueued = shared.pairingWorkers.run {
            let result = Self.respond(to: message, shared, roster)
            mailbox.post { _ in answer.newcomer?.answered(result) }
        }
        if !isQueued { turnAway("too many pairings under way") }
    }

    /// Goes to the worker and comes back to its own shard, where alone it is opened.
    private final class Answer: @unchecked Sendable {
        weak var newcomer: Newcomer?
        init(_ newcomer: Newcomer) { self.newcomer = newcomer }
    }

    private struct Response: Sendable {
        let reply: [UInt8]
        let paired: Handoff<Paired>
    }

    private static func respond(to message: [UInt8], _ shared: ServerShared, _ roster: Roster) -> Result<
        Response, PairingError
    > {
        do throws(PairingError) {
            let response = try PairResponder.respond(
                to: message, identity: shared.identity, mint: shared.mint, lifetimes: roster.settings.conversation,
                isKnown: { roster.knows($0) }, at: .now)
            return .success(Response(reply: response.reply, paired: Handoff(response.paired)))
        } catch {
            return .failure(error)
        }
    }

    private func answered(_ result: Result<Response, PairingError>) {
        guard endpoint.isOpen else { return }
        switch result {
        case .failure(let error):
            if case .peer(.unknownDevice(let key)) = error {
                role.shard.emit(.unknownDevice(key, from: address.text))
            }
            turnAway("\(error)")
        case .success(let response):
            guard let paired = response.paired.take() else { return turnAway("gone before PAIRED") }
            let peer = Peer(paired.conversation.id, paired.conversation.device)
            // The worker asked an earlier roster, perhaps.
            guard role.roster.knows(peer.device) else { return turnAway("the device is not configured any more") }
            guard endpoint.sendWhole(response.reply) else { return turnAway("gone before PAIRED") }
            becomeCarrier(paired.keys, peer, storing: paired.conversation)
        }
    }

    // MARK: RESUME

    private func resume(_ message: [UInt8]) {
        role.shard.handledSecrets()
        guard ResumeResponder.hasValidMac(message, server: shared.identity.publicKey) else {
            return turnAway("wrong mac1")
        }
        guard let id = ResumeResponder.conversationID(of: message), shared.mint.isOurs(id),
            let authentic = authenticate(message, id)
        else {
            // Unknown, expired, revoked or wrongly keyed: all look alike.
            _ = endpoint.sendWhole(HandshakeMessage.reject)
            return turnAway("RESUME of no live conversation")
        }
        let peer = Peer(id, authentic.device)
        do throws(PairingError) {
            let response = try authentic.accept(identity: shared.identity)
            guard endpoint.sendWhole(response.reply) else { return turnAway("gone before ACCEPT") }
            becomeCarrier(response.keys, peer, storing: nil)
        } catch {
            turnAway("\(error)")
        }
    }

    /// The cheap half, under the vault's lock: whether the peer holds the root.
    private func authenticate(_ message: [UInt8], _ id: ConversationID) -> AuthenticResume? {
        let now = ContinuousClock.now
        let authentic = try? shared.vault.withConversation(id, at: now) { (conversation) throws(PairingError) in
            try ResumeResponder.authenticate(message, conversation: &conversation, at: now)
        }
        guard let authentic, role.roster.knows(authentic.device) else { return nil }
        return authentic
    }

    // MARK: The end of being new

    private func becomeCarrier(
        _ keys: consuming CarrierKeys, _ peer: Peer, storing conversation: consuming Conversation?
    ) {
        deadline?.cancel()
        let carrier = Carrier(
            side: .server, link: endpoint, keys: keys, phase: .confirming, peer: peer, timings: role.roster.timings,
            shard: role.shard, owner: role)
        let limit = since &+ role.roster.settings.admission.handshake.nanoseconds
        role.adopt(carrier, from: self, storing: conversation, confirmBy: limit)
    }
}
