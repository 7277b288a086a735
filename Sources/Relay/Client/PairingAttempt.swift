// One attempt to pair: connect, PAIR made on a worker, PAIRED, its public-key work on a worker
// again, CONFIRM, CONFIRMED. The connection becomes the first carrier of the new conversation.
internal import Codec
internal import Pairing
internal import Settings
internal import Wire

/// How an attempt ended.
enum PairingResult {
    /// The pairing stands on the client's side; the carrier has CONFIRM due and waits for CONFIRMED.
    case answered(Carrier, Handoff<Conversation>)
    /// The server could not be reached, or does not answer.
    case unreached(String)
    /// The server was reached, and it came to nothing.
    case failed(String)
}

/// One attempt. `completion` is called exactly once unless it is cancelled.
final class PairingAttempt: Driver, Sleeper {
    private unowned let role: ClientRole
    private let completion: (PairingResult) -> Void
    private var dial: ServerDial?
    private var endpoint: Endpoint?
    private var deadline: Timer?
    private var initiator: Handoff<PairInitiator>?
    private var reader = HandshakeReader(wanted: [.paired])
    /// When PAIR left. The client counts the conversation's time from here, so that it never believes in
    /// one that the server, which counts from PAIR's arrival, has given up.
    private var sentAt = ContinuousClock.now
    private var isAnswered = false
    private var isOver = false

    init(_ role: ClientRole, completion: @escaping (PairingResult) -> Void) {
        self.role = role
        self.completion = completion
    }

    func start() {
        let limit = role.settings.timeouts.connect.nanoseconds
        deadline = role.shard.arm(self, after: limit)
        let dial = ServerDial(role) { [unowned self] in dialled($0) }
        self.dial = dial
        dial.start(limit: limit)
    }

    /// Ends it without calling the completion.
    func cancel() {
        isOver = true
        deadline?.cancel()
        dial?.cancel()
        endpoint?.close()
        initiator = nil
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        finish(.unreached(role.settings.timeouts.words(connected: endpoint != nil)))
    }

    private func dialled(_ result: ServerDialResult) {
        dial = nil
        switch result {
        case .connected(let endpoint):
            self.endpoint = endpoint
            endpoint.driver = self
            deadline?.cancel()
            deadline = role.shard.arm(self, after: role.settings.timeouts.answer.nanoseconds)
            makePair()
        case .failed(let why), .shortage(let why): finish(.unreached(why))
        }
    }

    private func makePair() {
        let settings = role.settings
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
            attempt.send(prepared.message)
        }
    }

    private func send(_ message: [UInt8]) {
        sentAt = .now
        guard let endpoint, endpoint.sendWhole(message) else {
            return finish(.failed("the server closed the connection"))
        }
        advance()
    }

    func advance() {
        guard !isOver, !isAnswered, initiator != nil, let endpoint else { return }
        switch reader.read(from: endpoint) {
        case .more: return
        case .useless(let why):
            let key = role.settings.identity.publicKey.text
            finish(
                .failed(
                    "\(why); is this device's key, \(key), under `devices:` there, and `server.key` here the server's?")
            )
        case .message(_, let reply): answered(reply)
        }
    }

    private func answered(_ reply: [UInt8]) {
        guard let initiator else { return }
        isAnswered = true
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

    private func finish(with box: Handoff<Paired>) {
        guard let endpoint, let paired = box.take() else { return finish(.failed("the connection broke")) }
        self.endpoint = nil
        let peer = Peer(paired.conversation.id, paired.conversation.device)
        let carrier = Carrier(
            side: .client, link: endpoint, keys: paired.keys, phase: .confirming, peer: peer, timings: role.timings,
            shard: role.shard, owner: role)
        carrier.due.insert(.confirm)
        finish(.answered(carrier, Handoff(paired.conversation)))
    }

    private func finish(_ result: PairingResult) {
        guard !isOver else { return }
        cancel()
        completion(result)
    }

    // MARK: Work off the loop

    private struct Prepared: Sendable {
        let message: [UInt8]
        let initiator: Handoff<PairInitiator>
    }

    /// Goes to the worker and comes back to its own shard, where alone it is opened.
    private final class Return<Value: Sendable>: @unchecked Sendable {
        weak var attempt: PairingAttempt?
        let completion: (PairingAttempt, Value) -> Void
        init(_ attempt: PairingAttempt, _ completion: @escaping (PairingAttempt, Value) -> Void) {
            self.attempt = attempt
            self.completion = completion
        }
    }

    private func onWorker<Value: Sendable>(
        _ work: @escaping @Sendable () -> Result<Value, PairingError>,
        then completion: @escaping (PairingAttempt, Value) -> Void
    ) {
        let back = Return(self, completion)
        let mailbox = role.shard.mailbox
        let isQueued = role.shared.pairingWorkers.run {
            let result = work()
            mailbox.post { _ in
                guard let attempt = back.attempt, !attempt.isOver else { return }
                switch result {
                case .success(let value): back.completion(attempt, value)
                case .failure(let error): attempt.finish(.failed("\(error)"))
                }
            }
        }
        if !isQueued { finish(.failed("too much to do")) }
    }
}
