import CLinux
import Glibc
import Pairing
import Settings
import Testing

@testable import Relay

/// A client's first shard, whose server is a socket that only counts who connects.
@Suite struct PairerTests {
    private let bench: Bench
    private let server: ListeningSocket
    private let role: ClientRole
    private let device = Identity.generate()
    private let serverIdentity = Identity.generate()

    init() throws {
        bench = try Bench()
        server = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let settings = ClientSettings(
            server: try #require(server.address), serverKey: serverIdentity.publicKey, identity: device, services: [:])
        role = ClientRole(
            ClientShared(settings, loops: 1), sockets: [], shard: bench.shard,
            loops: Loops(light: [bench.shard.mailbox]))
    }

    /// Connections that have come since the last call.
    private func arrivals() -> Int {
        var count = 0
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        while true {
            let fd = ow_accept(server.fd, &from, &length)
            guard fd >= 0 else { return count }
            close(fd)
            count += 1
        }
    }

    private func establish() throws {
        let initiator = try PairInitiator(identity: device, server: serverIdentity.publicKey)
        let response = try PairResponder.respond(
            to: initiator.message, identity: serverIdentity, mint: ConversationIDMint(serverIdentity),
            lifetimes: Lifetimes(), isKnown: { _ in true }, at: .now)
        let paired = try initiator.receive(response.reply, at: .now)
        _ = role.shared.establish(paired.conversation)
    }

    @Test("A request for a conversation makes one attempt, however often it comes")
    func first() {
        let pairer = Pairer(role)
        for _ in 0..<3 { pairer.request(urgently: true) }
        #expect(bench.turn { arrivals() == 1 })
        bench.turn()
        #expect(arrivals() == 0)
        pairer.stop()
    }

    @Test("A request that comes when a conversation stands already, from a shard that has not heard of it, is done")
    func late() throws {
        try establish()
        let pairer = Pairer(role)
        pairer.request(urgently: true)
        bench.turn()
        #expect(arrivals() == 0 && bench.shard.poller.endpoints == 0)
    }

    @Test("A renewal pairs beside the conversation that stands")
    func renewal() throws {
        try establish()
        let pairer = Pairer(role)
        pairer.request(urgently: false, renewing: true)
        #expect(bench.turn { arrivals() == 1 })
        pairer.stop()
    }

    @Test("After REJECT the conversation does not stand any more")
    func rejected() throws {
        try establish()
        #expect(role.shared.rejected(generation: 1))
        let pairer = Pairer(role)
        pairer.request(urgently: true)
        #expect(bench.turn { arrivals() == 1 })
        pairer.stop()
    }
}
