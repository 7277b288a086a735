// Two carriers back to back in one thread, for the ladder (Tests/Ladder): what a byte costs between two applications
// without threads, handshakes and TCP. The daemons do not use it.
internal import CLinux
package import Codec
internal import Glibc
internal import Pairing
internal import Settings
internal import Wire

/// A client's and a server's carrier with a stream between them, each on a shard of its own that turns when told to.
/// Time stands still, so that no deadline passes. Not thread-safe.
package final class CarrierPair {
    /// The application's end of the stream, non-blocking: what is written here comes out of `target`.
    package let application: Int32
    /// The target's end of the stream, non-blocking.
    package let target: Int32

    private let near: Shard
    private let far: Shard
    private let client: Carrier
    private let server: Carrier
    private let owner: PairOwner

    /// Makes the sockets and opens the stream. The keys must belong together.
    package init(client clientKeys: consuming CarrierKeys, server serverKeys: consuming CarrierKeys)
        throws(RelayError)
    {
        near = try Shard(
            index: 0, mailbox: try Mailbox(), clock: { 1_000_000_000_000 }, sinceBoot: { 1_000_000_000_000 },
            emit: { _ in })
        far = try Shard(
            index: 1, mailbox: try Mailbox(), clock: { 1_000_000_000_000 }, sinceBoot: { 1_000_000_000_000 },
            emit: { _ in })
        let link = try Self.sockets()
        let (entry, exit) = (try Self.sockets(), try Self.sockets())
        application = entry.0
        target = exit.1
        guard let service = ServiceID("ladder"), let ours = near.poller.add(fd: link.0),
            let theirs = far.poller.add(fd: link.1), let accepted = near.poller.add(fd: entry.1),
            let connected = far.poller.add(fd: exit.0)
        else { throw .system("epoll_ctl", errno) }

        owner = PairOwner(target: connected)
        let timings = CarrierTimings(CommonSettings())
        let peer = Peer(ConversationIDMint(.generate()).mint(), Identity.generate().publicKey)
        client = Carrier(
            side: .client, link: ours, keys: clientKeys, phase: .idle, peer: peer, timings: timings, shard: near,
            owner: owner)
        server = Carrier(
            side: .server, link: theirs, keys: serverKeys, phase: .idle, peer: peer, timings: timings, shard: far,
            owner: owner)
        client.open(OpenMessage(streamNumber: 1, source: .none, service: service), for: accepted)
    }

    deinit {
        client.end(.orderly)
        server.end(.orderly)
        close(application)
        close(target)
    }

    /// Whether both ends still carry the stream.
    package var isStreaming: Bool { client.phase == .streaming && server.phase == .streaming }

    /// One turn of the client's shard, as the daemon's thread makes it: what frames left behind is scrubbed, then
    /// epoll_wait, then events. `mayWait` false does not wait for an event that has not come, and scrubs at the end.
    package func turnClient(mayWait: Bool) { Self.turn(near, mayWait) }

    /// The same for the server's shard.
    package func turnServer(mayWait: Bool) { Self.turn(far, mayWait) }

    private static func turn(_ shard: Shard, _ mayWait: Bool) {
        shard.turn(mayWait: mayWait)
        if !mayWait { shard.cipher.scrub() }
    }

    private static func sockets() throws(RelayError) -> (Int32, Int32) {
        var ends: (Int32, Int32) = (-1, -1)
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let result = withUnsafeMutableBytes(of: &ends) {
            socketpair(AF_UNIX, type, 0, $0.baseAddress!.assumingMemoryBound(to: Int32.self))
        }
        guard result == 0 else { throw .system("socketpair", errno) }
        return ends
    }
}

/// Owns both carriers: has the target ready when OPEN comes, and agrees to everything.
private final class PairOwner: ClientCarrierOwner, ServerCarrierOwner {
    private let target: Endpoint

    init(target: Endpoint) { self.target = target }

    func carrierConfirmed(_ carrier: Carrier) {}
    func carrier(_ carrier: Carrier, opens message: OpenMessage) { carrier.connected(target) }
    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {}
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) {}
    func carrier(
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress]
    ) {}
    func carrierIsShared(_ carrier: Carrier) {}
    func carrierLostStream(_ carrier: Carrier) {}
    func carrierLeaves(_ carrier: Carrier) {}
    func streamIsHeavy(_ stream: SharedStream) {}
    func carrierIsMisplaced(_ carrier: Carrier) {}
    func carrierIsIdle(_ carrier: Carrier) {}
    func carrierMayGoOn(_ carrier: Carrier) -> Bool { true }
    func allowance(of peer: Peer) -> Allowance { Allowance() }
    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack) { app.reset() }
    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes) { app.reset() }
    func carrier(_ carrier: Carrier, withdraws numbers: [UInt64]) -> [UInt64] { numbers }
    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64]) {}
    func carrierIsHeard(_ carrier: Carrier) {}
    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason) {}
    func carrierSaidBye(_ carrier: Carrier) {}
    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) {}
}
