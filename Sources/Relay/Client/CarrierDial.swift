// Opens one further carrier ahead of need: connect, RESUME, ACCEPT. One round trip after the connection stands; nothing
// waits for it but application connections that found no carrier ready.
internal import Codec
internal import Pairing
internal import Wire

/// How opening a carrier ended.
enum CarrierDialResult: ~Copyable {
    /// The server took it; it is confirmed with its next frame.
    case opened(ProvenLink)
    /// The server does not know the conversation of this generation.
    case rejected(generation: UInt64)
    /// The server is away, or sends something that is not of this protocol.
    case failed(String)
    /// This host lacks something that it takes, and what.
    case shortage(String)
}

/// One carrier on its way. `completion` is called exactly once unless it is cancelled.
final class CarrierDial: ApproachOwner {
    let ticket = Ticket()
    /// When it began.
    let since: Nanoseconds
    private let shared: ClientShared
    private let shard: Shard
    private let completion: (CarrierDial, consuming CarrierDialResult) -> Void
    private var approach: Approach?
    private var resumption: ClientShared.Resumption?
    private var generation: UInt64 = 0

    init(
        _ shared: ClientShared, on shard: Shard,
        completion: @escaping (CarrierDial, consuming CarrierDialResult) -> Void
    ) {
        self.shared = shared
        self.shard = shard
        self.completion = completion
        since = shard.now
    }

    func start() {
        let approach = Approach(shared, on: shard, wanting: [.accept, .reject], for: self)
        self.approach = approach
        approach.start()
    }

    /// Ends it without calling the completion.
    func cancel() {
        approach?.cancel()
        approach = nil
        resumption = nil
    }

    func approachIsConnected() {
        shard.handledSecrets()
        guard let resumption = shared.resume(at: shard.moment) else { return finish(.failed("no conversation")) }
        generation = resumption.generation
        let message = resumption.initiator.message
        self.resumption = consume resumption
        approach?.send(message)
    }

    func approachIsAnswered(_ kind: HandshakeKind, _ message: [UInt8]) {
        guard kind == .accept else { return finish(.rejected(generation: generation)) }
        guard let resumption = resumption.take() else { return }
        shard.handledSecrets()
        let peer = resumption.peer
        let keys: CarrierKeys
        do throws(PairingError) {
            keys = try resumption.initiator.receive(accept: message)
        } catch {
            return finish(.failed("\(error)"))
        }
        guard let endpoint = approach?.leave() else { return }
        finish(.opened(ProvenLink(endpoint: endpoint, keys: keys, peer: peer)))
    }

    func approachFailed(_ why: ApproachFailure) {
        switch why {
        case .unreached(let why), .useless(let why): finish(.failed(why))
        case .shortage(let what): finish(.shortage(what))
        case .closed: finish(.failed("the server closed the connection"))
        }
    }

    private func finish(_ result: consuming CarrierDialResult) {
        guard approach != nil else { return }
        cancel()
        completion(self, result)
    }
}
