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
            lifetimes: Lifetimes(), isKnown: { _ in true }, at: bench.shard.moment)
        let paired = try initiator.receive(response.reply, at: bench.shard.moment)
        role.shared.establish(paired.conversation)
    }

    @Test("A request for a conversation makes one attempt, however often it comes")
    func first() {
        let pairer = Pairer(role.shared, on: bench.shard, for: role.upstream)
        for _ in 0..<3 { pairer.request(urgently: true) }
        #expect(bench.turn { arrivals() == 1 })
        bench.turn()
        #expect(arrivals() == 0)
        pairer.stop()
    }

    @Test("A request that comes when a conversation stands already, from a shard that has not heard of it, is done")
    func late() throws {
        try establish()
        let pairer = Pairer(role.shared, on: bench.shard, for: role.upstream)
        pairer.request(urgently: true)
        bench.turn()
        #expect(arrivals() == 0 && bench.shard.poller.endpoints == 0)
    }

    @Test("A renewal pairs beside the conversation that stands")
    func renewal() throws {
        try establish()
        let pairer = Pairer(role.shared, on: bench.shard, for: role.upstream)
        pairer.request(urgently: false, renewing: true)
        #expect(bench.turn { arrivals() == 1 })
        pairer.stop()
    }

    @Test("After REJECT the conversation does not stand any more, and one that was of use is replaced at once")
    func rejected() throws {
        try establish()
        role.shared.wasUseful(try #require(role.shared.conversation))
        #expect(role.shared.rejected(generation: 1))
        let pairer = Pairer(role.shared, on: bench.shard, for: role.upstream)
        pairer.request(urgently: true)
        #expect(bench.turn { arrivals() == 1 })
        pairer.stop()
    }

    @Test("What is said of a conversation after its REJECT, or of another one, does not make it one that was of use")
    func uselessAfterAll() throws {
        try establish()
        let first = try #require(role.shared.conversation)
        #expect(role.shared.rejected(generation: 1))
        role.shared.wasUseful(first)
        #expect(!role.shared.lastConversation.wasUseful)
        try establish()
        role.shared.wasUseful(first)
        #expect(!role.shared.lastConversation.wasUseful)
    }

    @Test("A server that rejects each conversation at once is paired with ever more seldom, however urgent it is")
    func rejectsAll() throws {
        let pairer = Pairer(role.shared, on: bench.shard, for: role.upstream)
        var generation: UInt64 = 0
        for longest in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            try establish()
            generation += 1
            #expect(role.shared.rejected(generation: generation))
            // REJECT comes to several loops, and applications come all the time.
            for _ in 0..<3 { pairer.request(urgently: true) }
            bench.pass(.milliseconds(longest / 2 - 1))
            pairer.request(urgently: true)
            bench.turn()
            #expect(arrivals() == 0, "an attempt before half of \(longest) ms")
            bench.pass(.milliseconds(longest / 2 + 1))
            #expect(bench.turn { arrivals() == 1 }, "no attempt after \(longest) ms")
            // The server closes; to the pairer this attempt never was.
            pairer.stop()
        }
    }
}
