// What the loops of a client have in common: the conversation that all carriers are resumed from, and
// who is pairing at the moment. Touched when carriers are opened, never while bytes move.
internal import Pairing
internal import Settings
internal import Synchronization
internal import Wire

/// Shared by the loops of one client.
final class ClientShared: Sendable {
    private let present: Guarded<ClientSettings>
    private let identity: Identity
    let pairingWorkers = Workers("pairing", threads: 1, capacity: 16)
    let resolver = Resolver()
    /// Application connections that wait for a carrier, on all loops.
    let waiting = Atomic(0)
    /// Streams are numbered from 1; the number is never reused.
    private let streams = Atomic<UInt64>(0)
    /// Loops that have not finished draining; the last one logs off.
    private let loopsLeft: Atomic<Int>
    /// Loops that accept; the last one closes the listeners.
    private let loopsListening = Atomic(0)

    private struct State: ~Copyable {
        var conversation: Conversation?
        var generation: UInt64 = 0
        /// The server said REJECT: no more carriers of this conversation. Those that are open stay usable,
        /// because REJECT proves nothing: anybody on the way can say it.
        var isRejected = false
        /// A carrier of this conversation, or of this generation if it is over, was of use before REJECT.
        var wasUseful = false
        /// What the client is ahead of the server by: 1/64 of the time the conversation may rest or live.
        var margin = Duration.zero
        /// By conversation, as long as it has carriers.
        var tenures: [ConversationID: Tenure] = [:]

        /// Whether the conversation's time is over. A client stops a little (1/64) before the server, whose
        /// clock may be ahead: what it would open last must not be refused.
        func isOver(at now: Moment) -> Bool {
            switch conversation {
            case .none: true
            case .some(let conversation):
                conversation.isExpired(at: now + margin)
            }
        }

        mutating func ratchet(at now: Moment) {
            guard let due = conversation?.dueEpoch(at: now) else { return }
            // A ratchet that fails (libcrypto out of memory) is tried again at the next RESUME.
            try? conversation?.ratchet(to: due)
        }

        mutating func resumption(_ identity: Identity, _ now: Moment) -> Resumption? {
            guard let id = conversation?.id, let device = conversation?.device,
                let initiator = try? ResumeInitiator(conversation: &conversation!, identity: identity, at: now)
            else { return nil }
            return Resumption(initiator: initiator, generation: generation, peer: Peer(id, device))
        }
    }
    private let state = Guarded(State())

    private struct Tenure {
        /// On all loops and between them.
        var carriers = 0
        /// Another conversation has taken its place.
        var isReplaced = false
    }

    /// Whether the server answers, for the log.
    let watch: ServerWatch

    init(_ settings: ClientSettings, loops: Int) {
        present = Guarded(settings)
        identity = settings.identity
        watch = ServerWatch(settings.server.description)
        loopsLeft = Atomic(loops)
    }

    /// What holds now, for loops that begin: a loop that serves has its own.
    var settings: ClientSettings { present.withLock { $0 } }

    /// Others hold from now on.
    func replaceSettings(by settings: ClientSettings) { present.withLock { $0 = settings } }

    func nextStreamNumber() -> UInt64 { streams.wrappingAdd(1, ordering: .relaxed).newValue }

    /// True for the last loop that asks.
    func isLastToLeave() -> Bool { loopsLeft.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 }

    /// A loop begins to accept.
    func listens() { loopsListening.wrappingAdd(1, ordering: .relaxed) }

    /// A loop accepts no more. True for the last one.
    func isLastToListen() -> Bool {
        loopsListening.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0
    }

    /// Whether carriers can be resumed now.
    func hasConversation(at now: Moment) -> Bool {
        state.withLock { !$0.isOver(at: now) && !$0.isRejected }
    }

    /// The pairing stands: the new conversation takes the old one's place. Returns its generation.
    @discardableResult func establish(_ conversation: consuming Conversation) -> UInt64 {
        let box = Handoff(conversation)
        return state.withLock { state in
            if let former = state.conversation?.id { state.tenures[former]?.isReplaced = true }
            state.conversation = box.take()
            let lifetimes = state.conversation?.lifetimes ?? Lifetimes()
            state.margin = min(lifetimes.idle, lifetimes.lifetime) / 64
            state.isRejected = false
            state.wasUseful = false
            state.generation += 1
            return state.generation
        }
    }

    /// A carrier of conversation `id` has been opened.
    func hasCarrier(of id: ConversationID) { state.withLock { $0.tenures[id, default: Tenure()].carriers += 1 } }

    /// A carrier of conversation `id` has ended or is about to. True for the last one of a conversation that another
    /// has replaced.
    func lostCarrier(of id: ConversationID) -> Bool {
        state.withLock { state in
            guard var tenure = state.tenures[id] else { return false }
            tenure.carriers -= 1
            state.tenures[id] = tenure.carriers > 0 ? tenure : nil
            return tenure.carriers == 0 && tenure.isReplaced
        }
    }

    /// A RESUME of the present conversation, and which generation that is of.
    struct Resumption: ~Copyable {
        let initiator: ResumeInitiator
        let generation: UInt64
        let peer: Peer
    }

    /// A RESUME for the present conversation; nil without a live one.
    func resume(at now: Moment) -> Resumption? {
        state.withLock { state in
            guard !state.isOver(at: now), !state.isRejected else { return nil }
            return state.resumption(identity, now)
        }
    }

    /// Notes that the conversation was used, and says which it is. Nil, and nothing noted, if its time is over.
    @discardableResult
    func touch(at now: Moment) -> ConversationID? {
        state.withLock { state in
            guard !state.isOver(at: now) else { return nil }
            state.conversation?.touch(at: now)
            return state.conversation?.id
        }
    }

    /// Notes that conversation `id` was used, if it is the present one and its time is not over.
    func touch(_ id: ConversationID, at now: Moment) {
        state.withLock { state in
            guard state.conversation?.id == id, !state.isOver(at: now) else { return }
            state.conversation?.touch(at: now)
        }
    }

    /// Which conversation is alive now.
    func alive(at now: Moment) -> ConversationID? {
        state.withLock { $0.isOver(at: now) ? nil : $0.conversation?.id }
    }

    /// The server says that conversation `id` is over. True if it was the present one, which is wiped; `forNothing` if
    /// it was of no use.
    func ended(_ id: ConversationID, forNothing: Bool) -> Bool {
        state.withLock { state in
            guard state.conversation?.id == id else { return false }
            state.conversation = nil
            if forNothing { state.isRejected = true }
            return true
        }
    }

    /// Which conversation carriers are resumed from now.
    var conversation: ConversationID? { state.withLock { $0.conversation?.id } }

    /// What the client's sweep found.
    enum Health {
        /// No conversation, or one that goes on.
        case unchanged
        /// The conversation is over and wiped.
        case ended(String)
        /// The conversation lives, but its lifetime is nearly over: time to pair again beside it.
        case due
    }

    /// Wipes the conversation if it has expired, moves its ratchet on otherwise.
    func sweep(at now: Moment) -> Health {
        state.withLock { state in
            guard state.conversation != nil else { return .unchanged }
            guard !state.isOver(at: now) else {
                state.conversation = nil
                return .ended("it expired")
            }
            state.ratchet(at: now)
            let age = now - (state.conversation?.pairedAt ?? now)
            let lifetime = state.conversation?.lifetimes.lifetime ?? .seconds(0)
            return age > lifetime * 9 / 10 ? .due : .unchanged
        }
    }

    /// The shortest of the conversation's time-outs, as the server gave them.
    var shortestLifetime: Duration? {
        state.withLock { state in
            guard let lifetimes = state.conversation?.lifetimes else { return nil }
            return min(lifetimes.epoch, lifetimes.idle, lifetimes.lifetime)
        }
    }

    /// The server said REJECT to a RESUME of this generation. False if a newer one stands already.
    func rejected(generation: UInt64) -> Bool {
        state.withLock { state in
            guard state.generation == generation, !state.isRejected else { return false }
            state.isRejected = true
            return true
        }
    }

    /// A carrier of this conversation was of use.
    func wasUseful(_ id: ConversationID) {
        state.withLock { state in
            if !state.isRejected, state.conversation?.id == id { state.wasUseful = true }
        }
    }

    /// What became of the last conversation that was established; the first has generation 1.
    var lastConversation: (generation: UInt64, isRejected: Bool, wasUseful: Bool) {
        state.withLock { ($0.generation, $0.isRejected, $0.wasUseful) }
    }

    /// Forgets the conversation.
    func forget() { state.withLock { $0.conversation = nil } }
}
