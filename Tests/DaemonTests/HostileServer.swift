// A server built in the test: it pairs, accepts every RESUME of the conversation, and does with each carrier what the
// test wants.

import Pairing
import Synchronization
import Wire

/// Accepts carriers of one client and hands each, confirmed, to a thread of its own.
final class HostileServer: Sendable {
    private let listener: ListeningSocket
    private let identity: Identity
    /// The newest conversation.
    private let newest = Mutex<Kept?>(nil)
    private let serve: @Sendable (HostilePeer) throws -> Void
    /// What threw while it served a carrier, other than the carrier's end.
    let faults = Inbox<String>()
    private let carriers = Inbox<Socket>()

    /// A conversation; used under the lock only.
    private final class Kept: @unchecked Sendable {
        var conversation: Conversation
        init(_ conversation: consuming Conversation) { self.conversation = conversation }
    }

    var endpoint: Endpoint { listener.endpoint }

    init(as identity: Identity, in scene: Scene, serve: @escaping @Sendable (HostilePeer) throws -> Void) throws {
        listener = try ListeningSocket()
        (self.identity, self.serve) = (identity, serve)
        scene.atEnd { [self] in
            listener.close()
            for carrier in carriers.takeAll() { carrier.interrupt() }
        }
        startThread { [self] in
            while let carrier = try? listener.accept() {
                carriers.put(carrier)
                startThread { self.meet(carrier) }
            }
        }
    }

    private func meet(_ carrier: Socket) {
        do {
            let peer = try greet(carrier)
            try serve(peer)
            // Stays until the client has closed.
            while try peer.next() != nil {}
        } catch let error as SocketError where error.isReset || error.code == 0 || !error.isTimeout {
            // The client ended this carrier, as it may.
        } catch {
            faults.put("\(error)")
        }
    }

    /// The handshake, up to CONFIRM.
    private func greet(_ carrier: Socket) throws -> HostilePeer {
        try carrier.setNoDelay()
        if try carrier.peek(HandshakeMessage.preambleSize) == HandshakeMessage.preamble(of: .pair) {
            let response = try PairResponder.respond(
                to: try carrier.receive(exactly: PairMessage.size), identity: identity,
                mint: ConversationIDMint(identity),
                lifetimes: Lifetimes(), isKnown: { _ in true }, at: .now)
            try carrier.send(response.reply)
            let paired = response.paired
            let kept = Kept(paired.conversation)
            newest.withLock { $0 = kept }
            let peer = HostilePeer(carrier, paired.keys)
            try peer.confirmed()
            return peer
        }
        let resume = try carrier.receive(exactly: ResumeMessage.size)
        let response = try newest.withLock { kept -> Handover<(reply: [UInt8], peer: HostilePeer)>? in
            guard let kept else { return nil }
            let answer = try ResumeResponder.respond(
                to: resume, conversation: &kept.conversation, identity: identity, at: .now)
            return Handover((answer.reply, HostilePeer(carrier, answer.keys)))
        }
        guard let (reply, peer) = response?.value else { throw TunnelError(description: "RESUME before PAIR") }
        try carrier.send(reply)
        guard try peer.next()?.type == .confirm else { throw TunnelError(description: "no CONFIRM") }
        return peer
    }
}

extension Scene {
    /// A client daemon and the server built in the test that it talks to.
    func hostileServer(
        _ change: (inout TunnelPlan) -> Void = { _ in }, serve: @escaping @Sendable (HostilePeer) throws -> Void
    ) async throws -> (server: HostileServer, client: Child, endpoint: Endpoint) {
        for file in ["server.key", "client.key"] { _ = try HostileRig.newDevice(file, in: self) }
        let identity = try Identity.load(path: path("server.key"))
        let server = try HostileServer(as: identity, in: self, serve: serve)
        var plan = TunnelPlan(to: .loopback(9))
        // Nothing but the server ends a carrier.
        plan.heartbeat = "60s"
        plan.deadAfter = "120s"
        plan.pool = "{min-idle: 1, max-idle: 4}"
        plan.shards = "1"
        change(&plan)
        try write(
            plan.clientYAML(serverAddress: server.endpoint, serverKey: identity.publicKey.text), to: "client.yaml")
        let client = try start(oncewireBinary, ["client", "--config", path("client.yaml")])
        return (server, client, try await HostileRig.readyEndpoint(of: client))
    }
}
