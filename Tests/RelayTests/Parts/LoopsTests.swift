import Testing

@testable import Relay

@Suite struct LoopsTests {
    private func mailboxes(_ count: Int) throws -> [Mailbox] { try (0..<count).map { _ in try Mailbox() } }

    @Test("Loops come in pairs, light ones first, and each knows its partner")
    func pairs() throws {
        let (light, heavy) = (try mailboxes(3), try mailboxes(3))
        let loops = Loops<ServerRole>(light: light, heavy: heavy)
        #expect(loops.pairs == 3 && loops.count == 6)
        for index in 0..<3 {
            #expect(loops.kind(of: index) == .light && loops.kind(of: index + 3) == .heavy)
            #expect(loops.partner(of: index)?.mailbox === heavy[index])
            #expect(loops.partner(of: index + 3)?.mailbox === light[index])
        }
    }

    @Test("A loop that is alone has no partner")
    func alone() throws {
        let loops = Loops<ServerRole>(light: try mailboxes(2))
        for index in 0..<2 { #expect(loops.kind(of: index) == .only && loops.partner(of: index) == nil) }
    }

    @Test("Carriers on the heavy loop are counted for their pair, whichever loop asks")
    func away() throws {
        let loops = Loops<ServerRole>(light: try mailboxes(2), heavy: try mailboxes(2))
        loops.goesAway(fromPairWith: 1)
        loops.goesAway(fromPairWith: 1)
        loops.isBack(inPairWith: 3)
        #expect([0, 1, 2, 3].map { loops.carriersAway(ofPairWith: $0) } == [0, 1, 0, 1])
    }

    @Test("The last loop that begins to drain tells every loop, and no earlier one does")
    func draining() throws {
        let loops = Loops<ServerRole>(light: try mailboxes(2), heavy: try mailboxes(2))
        for _ in 0..<3 {
            loops.beginsDraining()
            #expect(loops.doors.allSatisfy { $0.mailbox.takeAll().isEmpty })
        }
        loops.beginsDraining()
        #expect(loops.doors.map { $0.mailbox.takeAll().count } == [1, 1, 1, 1])
    }
}
