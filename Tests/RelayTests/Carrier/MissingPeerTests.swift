// A carrier that nobody reads cannot hear its peer: the kernel is asked instead.

import CHarness
import Glibc
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct MissingPeerTests {
    /// A server's carrier whose target is being connected to, so that it does not read.
    private func stalled() throws -> Forger {
        let forger = try Forger(
            posingAs: .client, link: .tcp,
            settings: CommonSettings(heartbeat: .milliseconds(200), deadAfter: .milliseconds(400)))
        forger.send(.confirm)
        forger.open()
        #expect(forger.bench.turn { forger.carrier.phase == .dialing })
        return forger
    }

    @Test("A stalled carrier is given up when the peer's host acknowledges nothing any more")
    func gone() throws {
        let forger = try stalled()
        #expect(ch_deafen(forger.link.fd) == 0)
        // The kernel repeats a PING after 200 ms and after 600.
        let deadline = ContinuousClock.now + .seconds(10)
        while forger.carrier.phase != .closed, ContinuousClock.now < deadline {
            forger.bench.pass(.milliseconds(200))
            usleep(5000)
        }
        #expect(forger.owner.lostBecause == "the peer's host does not answer")
    }

    @Test("A stalled carrier is kept as long as the peer's host acknowledges, however long the peer says nothing")
    func silent() throws {
        let forger = try stalled()
        for _ in 0..<1000 { forger.bench.pass(.milliseconds(200)) }
        #expect(forger.carrier.phase == .dialing)
        #expect(forger.owner.lostBecause == nil)
    }
}
