// Opens one further carrier ahead of need: connect, RESUME, ACCEPT. One round trip after the connection
// stands; nothing waits for it but application connections that found the pool empty.
internal import Codec
internal import Pairing
internal import Settings
internal import Wire

/// How opening a carrier ended.
enum CarrierDialResult {
    /// It is open, and confirmed with its next frame.
    case opened(Carrier)
    /// The server does not know the conversation of this generation.
    case rejected(generation: UInt64)
    /// The server is away, or says something that is not of this protocol.
    case failed(String)
    /// This host lacks something that it takes, and what.
    case shortage(String)
}

/// One carrier on its way. `completion` is called exactly once unless it is cancelled.
final class CarrierDial: Driver, Sleeper {
    let ticket = Ticket()
    private unowned let role: ClientRole
    private let completion: (CarrierDial, CarrierDialResult) -> Void
    private var dial: ServerDial?
    private var endpoint: Endpoint?
    private var deadline: Timer?
    private var resumption: ClientShared.Resumption?
    private var generation: UInt64 = 0
    /// When it began.
    let since: Nanoseconds
    private var reader = HandshakeReader(wanted: [.accept, .reject])
    private var isOver = false

    init(_ role: ClientRole, completion: @escaping (CarrierDial, CarrierDialResult) -> Void) {
        self.role = role
        self.completion = completion
        since = role.shard.now
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
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        finish(.failed(role.settings.timeouts.words(connected: endpoint != nil)))
    }

    private func dialled(_ result: ServerDialResult) {
        dial = nil
        switch result {
        case .connected(let endpoint): resume(endpoint)
        case .failed(let why): finish(.failed(why))
        case .shortage(let what): finish(.shortage(what))
        }
    }

    private func resume(_ endpoint: Endpoint) {
        role.shard.handledSecrets()
        self.endpoint = endpoint
        endpoint.driver = self
        deadline?.cancel()
        deadline = role.shard.arm(self, after: role.settings.timeouts.answer.nanoseconds)
        guard let resumption = role.shared.resume(at: .now) else { return finish(.failed("no conversation")) }
        generation = resumption.generation
        let message = resumption.initiator.message
        self.resumption = consume resumption
        guard endpoint.sendWhole(message) else { return finish(.failed("the server closed the connection")) }
        advance()
    }

    func advance() {
        guard !isOver, let endpoint else { return }
        switch reader.read(from: endpoint) {
        case .more: return
        case .useless(let why): finish(.failed(why))
        case .message(.accept, let message): accepted(message, endpoint)
        case .message: finish(.rejected(generation: generation))
        }
    }

    private func accepted(_ message: [UInt8], _ endpoint: Endpoint) {
        guard let resumption = resumption.take() else { return }
        role.shard.handledSecrets()
        let peer = resumption.peer
        let keys: CarrierKeys
        do throws(PairingError) {
            keys = try resumption.initiator.receive(accept: message)
        } catch {
            return finish(.failed("\(error)"))
        }
        self.endpoint = nil
        let carrier = Carrier(
            side: .client, link: endpoint, keys: keys, phase: .idle, peer: peer, timings: role.timings,
            shard: role.shard, owner: role)
        carrier.due.insert(.confirm)
        finish(.opened(carrier))
    }

    private func finish(_ result: CarrierDialResult) {
        guard !isOver else { return }
        cancel()
        resumption = nil
        completion(self, result)
    }
}
