// What the parts of a client's loop need around them: a conversation that stands, carriers whose far end the test may wake,
// and applications. The server's address is a socket that only counts who connects.
import CLinux
import Codec
import Glibc
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

final class ClientBench {
    /// The server's end of a carrier. It is not there before it is woken, and then reads what has come.
    final class Far {
        let client: Carrier
        let owner = RecordingOwner()
        private(set) var carrier: Carrier?
        private let bench: Bench
        private let socket: Int32
        private let keys: () -> CarrierKeys

        init(_ client: Carrier, _ socket: Int32, _ keys: @escaping () -> CarrierKeys, _ bench: Bench) {
            self.client = client
            self.socket = socket
            self.keys = keys
            self.bench = bench
        }

        deinit { if carrier == nil { Glibc.close(socket) } }

        /// From now on the server is there.
        @discardableResult func wake() -> Carrier {
            if let carrier { return carrier }
            let carrier = bench.carrier(.server, link: socket, keys: keys(), phase: .confirming, owner: owner)
            // A target for every stream.
            owner.onOpen = { [unowned self] stream in
                let (endpoint, target) = bench.connection()
                targets.append(target)
                stream.dialled(.connected(endpoint))
            }
            self.carrier = carrier
            return carrier
        }

        /// What streams that came here are connected to.
        var targets: [TestSocket] = []

        /// The connection ends as if the server had closed it.
        func close() { if let carrier { carrier.end(.orderly) } else { shutdown(socket, Int32(SHUT_RDWR)) } }
    }

    /// How long the machine has slept.
    final class Night { var slept: Nanoseconds = 0 }

    let night = Night()
    let bench: Bench
    let shared: ClientShared
    let server: ListeningSocket
    private let device = Identity.generate()
    private let serverIdentity = Identity.generate()
    private var seed: UInt64 = 5000
    private var clients: [Carrier] = []

    init(
        _ kind: LoopKind = .only, pool: PoolSettings = PoolSettings(), waiting: WaitingSettings = WaitingSettings(),
        isEstablished: Bool = true
    ) throws {
        let night = night
        bench = try Bench(kind, timeAsleep: { night.slept })
        server = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let settings = ClientSettings(
            server: try #require(server.address), serverKey: serverIdentity.publicKey, identity: device,
            services: [
                Self.sharing: ClientService(listen: [], carrier: .shared),
                Self.own: ClientService(listen: [], carrier: .own),
            ], pool: pool, waiting: waiting)
        shared = ClientShared(settings, loops: 1)
        if isEstablished { try establish() }
    }

    deinit { for carrier in clients { carrier.end(.orderly) } }

    static let sharing = ServiceID("shared")!
    static let own = ServiceID("own")!

    /// A new conversation stands.
    func establish() throws {
        let initiator = try PairInitiator(identity: device, server: serverIdentity.publicKey)
        let response = try PairResponder.respond(
            to: initiator.message, identity: serverIdentity, mint: ConversationIDMint(serverIdentity),
            lifetimes: Lifetimes(), isKnown: { _ in true }, at: bench.shard.moment)
        let paired = try initiator.receive(response.reply, at: bench.shard.moment)
        shared.establish(paired.conversation)
    }

    /// The next connection to the server, if there is one.
    func arrival() -> TestSocket? {
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let fd = ow_accept(server.fd, &from, &length)
        return fd >= 0 ? TestSocket(fd) : nil
    }

    /// Connections to the server since the last call, which closes them.
    func arrivals() -> Int {
        var count = 0
        while arrival() != nil { count += 1 }
        return count
    }

    /// An application connection, and the application's end.
    func application(shares: Bool = true) -> (Application, TestSocket) {
        let (endpoint, socket) = bench.accepted()
        let service = shares ? Self.sharing : Self.own
        return (Application(endpoint: endpoint, service: service, source: .none, shares: shares), socket)
    }

    /// A link whose handshake is done, of the present conversation, for `make` to build a carrier on.
    func far(_ make: (consuming ProvenLink) throws -> Carrier) throws -> Far {
        var made: Carrier?
        let (socket, keys) = try link { made = try make($0) }
        let client = try #require(made)
        clients.append(client)
        return Far(client, socket, keys, bench)
    }

    /// The same for `use`, which makes of it what it likes; returns the server's end.
    func link(_ use: (consuming ProvenLink) throws -> Void) throws -> (Int32, () -> CarrierKeys) {
        seed += 1
        let (ours, theirs) = TestSocket.descriptors(.unix)
        let keys = crossedKeys(seed: seed)
        let peer = Peer(try #require(shared.conversation), device.publicKey)
        try use(ProvenLink(endpoint: bench.endpoint(ours), keys: keys.client(), peer: peer))
        return (theirs, keys.server)
    }

    /// An idle carrier of `owner`.
    func far(owner: any CarrierOwner) throws -> Far {
        try far { link in
            link.carrier(.idle, CarrierTimings(shared.settings.common), on: bench.shard, owner: owner)
        }
    }

    /// Lets `duration` pass in steps of `step`, with a turn after each.
    func pass(_ duration: Duration, step: Duration = .milliseconds(10)) {
        for _ in 0..<Int(duration / step) { bench.pass(step) }
    }
}
