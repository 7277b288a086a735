// A connection that has not proved itself. It gets no byte back until a message with a valid mac1 and a
// valid device key has come; everything else is closed in silence, at once or at an absolute deadline.
internal import Codec
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

/// What becomes of a newcomer.
protocol NewcomerOwner: AnyObject {
    var shard: Shard { get }
    /// What holds now.
    var roster: Roster { get }
    /// It was turned away, and its connection closed.
    func turnedAway(_ newcomer: Newcomer)
    /// It has proved to be `peer`: its connection, `link`, is a carrier's from now on, with `keys`. The carrier must be
    /// confirmed by the moment `limit`; `conversation` is stored then, if there is one.
    func newcomer(
        _ newcomer: Newcomer, proved peer: Peer, _ link: Endpoint, _ keys: consuming CarrierKeys,
        storing conversation: consuming Conversation?, confirmBy limit: Nanoseconds)
}

/// A fresh connection to the server, until it is a carrier. Not thread-safe: it belongs to one shard.
final class Newcomer: Driver, Sleeper {
    let ticket = Ticket()
    private unowned let owner: any NewcomerOwner
    private let shard: Shard
    private let shared: ServerShared
    private let endpoint: Endpoint
    let address: SocketAddress
    private let since: Nanoseconds
    private var reader = HandshakeReader(wanted: [.pair, .resume])
    private var deadline: Timer?
    /// PAIR is with a worker: nothing is read meanwhile.
    private var isBeingAnswered = false

    init(_ endpoint: Endpoint, from address: SocketAddress, _ shared: ServerShared, owner: any NewcomerOwner) {
        self.endpoint = endpoint
        self.address = address
        self.shared = shared
        self.owner = owner
        shard = owner.shard
        since = shard.now
    }

    /// Begins to listen to the connection.
    func begin() {
        endpoint.driver = self
        deadline = shard.arm(self, after: owner.roster.settings.admission.firstByte.nanoseconds)
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
        let handshake = owner.roster.settings.admission.handshake.nanoseconds
        guard reader.hasBegun, now &- since < handshake else { return turnAway("no handshake in time") }
        deadline = shard.arm(self, after: since &+ handshake &- now)
    }

    /// Closes without a word.
    func turnAway(_ why: String) {
        deadline?.cancel()
        endpoint.close()
        shard.counters.strangers &+= 1
        shard.emit(.stranger(address.text, why))
        owner.turnedAway(self)
    }

    // MARK: PAIR

    private func pair(_ message: [UInt8]) {
        guard PairResponder.hasValidMac(message, server: shared.identity.publicKey) else {
            return turnAway("wrong mac1")
        }
        guard shared.admission.admit(address, now: shard.now) else { return turnAway("too many pairings") }
        isBeingAnswered = true
        let shared = shared
        let (moment, roster) = (shard.moment, owner.roster)
        let isQueued = shared.pairingWorkers.ask(for: self, on: shard.mailbox) {
            Self.respond(to: message, shared, roster, at: moment)
        } then: { newcomer, result in
            newcomer.answered(result)
        }
        if !isQueued { turnAway("too many pairings under way") }
    }

    private struct Response: Sendable {
        let reply: [UInt8]
        let paired: Handoff<Paired>
    }

    private static func respond(
        to message: [UInt8], _ shared: ServerShared, _ roster: Roster, at now: Moment
    ) -> Result<Response, PairingError> {
        do throws(PairingError) {
            let response = try PairResponder.respond(
                to: message, identity: shared.identity, mint: shared.mint, lifetimes: roster.settings.conversation,
                isKnown: { roster.knows($0) }, at: now)
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
                shard.emit(.unknownDevice(key, from: address.text))
            }
            turnAway("\(error)")
        case .success(let response):
            guard let paired = response.paired.take() else { return turnAway("gone before PAIRED") }
            let peer = Peer(paired.conversation.id, paired.conversation.device)
            // The worker asked an earlier roster, perhaps.
            guard owner.roster.knows(peer.device) else { return turnAway("the device is not configured any more") }
            guard endpoint.sendWhole(response.reply) else { return turnAway("gone before PAIRED") }
            becomeCarrier(paired.keys, peer, storing: paired.conversation)
        }
    }

    // MARK: RESUME

    private func resume(_ message: [UInt8]) {
        shard.handledSecrets()
        guard let resume = try? ReceivedResume(message, server: shared.identity.publicKey) else {
            return turnAway("wrong mac1")
        }
        let id = resume.conversationID
        guard shared.mint.isOurs(id), let authentic = authenticate(resume) else {
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
    private func authenticate(_ resume: ReceivedResume) -> AuthenticResume? {
        let (id, now) = (resume.conversationID, shard.moment)
        let authentic = try? shared.vault.withConversation(id, at: now) { (conversation) throws(PairingError) in
            try ResumeResponder.authenticate(resume, conversation: &conversation, at: now)
        }
        guard let authentic, owner.roster.knows(authentic.device) else { return nil }
        return authentic
    }

    // MARK: The end of being new

    private func becomeCarrier(
        _ keys: consuming CarrierKeys, _ peer: Peer, storing conversation: consuming Conversation?
    ) {
        deadline?.cancel()
        let limit = since &+ owner.roster.settings.admission.handshake.nanoseconds
        owner.newcomer(self, proved: peer, endpoint, keys, storing: conversation, confirmBy: limit)
    }
}
