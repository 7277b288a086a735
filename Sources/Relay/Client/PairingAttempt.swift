// One attempt to pair: connect, PAIR made on a worker, PAIRED, its public-key work on a worker
// again, CONFIRM, CONFIRMED. The connection becomes the first carrier of the new conversation.
internal import Codec
internal import Pairing
internal import Settings
internal import Wire

/// How an attempt ended.
enum PairingResult: ~Copyable {
    /// The pairing stands on the client's side; the carrier has to send CONFIRM, and waits for CONFIRMED.
    case answered(ProvenLink, Handoff<Conversation>)
    /// The server could not be reached, or does not answer.
    case unreached(String)
    /// The server was reached, and it came to nothing.
    case failed(String)
}

/// One attempt. `completion` is called exactly once unless it is cancelled.
final class PairingAttempt: ApproachOwner {
    private let shared: ClientShared
    private let shard: Shard
    private let completion: (consuming PairingResult) -> Void
    private var approach: Approach?
    private var initiator: Handoff<PairInitiator>?
    /// When PAIR left. The client counts the conversation's time from here, so that it never believes in
    /// one that the server, which counts from PAIR's arrival, has given up.
    private var sentAt: Moment

    init(_ shared: ClientShared, on shard: Shard, completion: @escaping (consuming PairingResult) -> Void) {
        self.shared = shared
        self.shard = shard
        self.completion = completion
        sentAt = shard.moment
    }

    func start() {
        let approach = Approach(shared, on: shard, wanting: [.paired], for: self)
        self.approach = approach
        approach.start()
    }

    /// Ends it without calling the completion.
    func cancel() {
        approach?.cancel()
        approach = nil
        initiator = nil
    }

    /// Makes PAIR.
    func approachIsConnected() {
        let settings = shared.settings
        let work: @Sendable () -> Result<Prepared, PairingError> = {
            do throws(PairingError) {
                let initiator = try PairInitiator(identity: settings.identity, server: settings.serverKey)
                let message = initiator.message
                return .success(Prepared(message: message, initiator: Handoff(initiator)))
            } catch {
                return .failure(error)
            }
        }
        onWorker(work) { attempt, prepared in
            attempt.initiator = prepared.initiator
            attempt.sentAt = attempt.shard.moment
            attempt.approach?.send(prepared.message)
        }
    }

    /// Makes the conversation of PAIRED.
    func approachIsAnswered(_ kind: HandshakeKind, _ reply: [UInt8]) {
        guard let initiator else { return }
        let sentAt = sentAt
        let work: @Sendable () -> Result<Handoff<Paired>, PairingError> = {
            guard let initiator = initiator.take() else { return .failure(.local(.wrongConversation)) }
            do throws(PairingError) {
                return .success(Handoff(try initiator.receive(reply, at: sentAt)))
            } catch {
                return .failure(error)
            }
        }
        onWorker(work) { attempt, paired in attempt.finish(with: paired) }
    }

    func approachFailed(_ why: ApproachFailure) {
        switch why {
        case .unreached(let why), .shortage(let why): finish(.unreached(why))
        case .closed: finish(.failed("the server closed the connection"))
        case .useless(let why):
            let key = shared.settings.identity.publicKey.text
            finish(
                .failed(
                    "\(why); is this device's key, \(key), under `devices:` there, and `server.key` here the server's?")
            )
        }
    }

    private func finish(with box: Handoff<Paired>) {
        guard let paired = box.take(), let endpoint = approach?.leave() else {
            return finish(.failed("the connection broke"))
        }
        let peer = Peer(paired.conversation.id, paired.conversation.device)
        finish(
            .answered(ProvenLink(endpoint: endpoint, keys: paired.keys, peer: peer), Handoff(paired.conversation)))
    }

    private func finish(_ result: consuming PairingResult) {
        guard approach != nil else { return }
        cancel()
        completion(result)
    }

    // MARK: Work off the loop

    private struct Prepared: Sendable {
        let message: [UInt8]
        let initiator: Handoff<PairInitiator>
    }

    private func onWorker<Value: Sendable>(
        _ work: @escaping @Sendable () -> Result<Value, PairingError>,
        then completion: @escaping @Sendable (PairingAttempt, Value) -> Void
    ) {
        let isQueued = shared.pairingWorkers.ask(for: self, on: shard.mailbox, work) { attempt, result in
            guard attempt.approach != nil else { return }
            switch result {
            case .success(let value): completion(attempt, value)
            case .failure(let error): attempt.finish(.failed("\(error)"))
            }
        }
        if !isQueued { finish(.failed("too much to do")) }
    }
}
