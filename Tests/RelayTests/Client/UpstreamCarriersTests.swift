import Testing
import Wire

@testable import Relay

@Suite struct UpstreamCarriersTests {
    private let client: ClientBench
    private let owner = RecordingOwner()
    private let carriers = UpstreamCarriers(CarrierPool(floor: 1, cap: 3))

    init() throws { client = try ClientBench() }

    private func new(isIdle: Bool = false) throws -> Carrier {
        let carrier = try client.far(owner: owner).client
        carriers.adopt(carrier)
        let isKept = isIdle && carriers.pool.put(carrier)
        #expect(isKept == isIdle)
        return carrier
    }

    @Test("A carrier with a stream counts, one that is ready does not, a shared one counts for its streams")
    func streams() throws {
        #expect(carriers.isEmpty && carriers.streams == 0)
        _ = try new(isIdle: true)
        #expect(carriers.streams == 0)
        _ = try new()
        #expect(carriers.streams == 1)
        let shared = try new()
        carriers.share(shared)
        #expect(carriers.streams == 1 && carriers.emptyTrunk === shared)
        let sockets = try (1...3 as ClosedRange<UInt64>).map { number in
            let (application, socket) = client.application()
            shared.openShared(try #require(message(number)), for: application.endpoint)
            return socket
        }
        #expect(carriers.streams == 4 && carriers.emptyTrunk == nil)
        carriers.retireTrunk()
        #expect(carriers.streams == 4 && carriers.trunk == nil, "they go on")
        withExtendedLifetime(sockets) {}
    }

    private func message(_ number: UInt64) -> OpenMessage? {
        OpenMessage(streamNumber: number, source: .none, service: ClientBench.sharing)
    }

    @Test("One function takes a carrier out of wherever it is, once")
    func takeOut() throws {
        let (idle, shared, former) = (try new(isIdle: true), try new(), try new())
        carriers.share(former)
        carriers.share(shared)
        #expect(carriers.formerTrunks.map(\.ticket) == [former.ticket] && former.isRetiring)
        for carrier in [idle, shared, former] {
            #expect(carriers.takeOut(carrier))
            #expect(!carriers.takeOut(carrier))
        }
        #expect(carriers.isEmpty && carriers.pool.count == 0 && carriers.trunk == nil && carriers.formerTrunks.isEmpty)
    }

    @Test("What is set aside gets nothing new, and still is where it was")
    func setAside() throws {
        let (idle, shared) = (try new(isIdle: true), try new())
        carriers.share(shared)
        carriers.setAside(idle)
        carriers.setAside(shared)
        #expect(carriers.pool.count == 0 && carriers.trunk == nil && carriers.all.count == 2)
        #expect(!shared.isRetiring && carriers.formerTrunks.first === shared)
        #expect(carriers.shareAgain(shared) && carriers.trunk === shared && carriers.formerTrunks.isEmpty)
    }

    @Test("A carrier that was set aside does not take the place of the one that came instead")
    func tooLate() throws {
        let (first, second) = (try new(), try new())
        carriers.share(first)
        carriers.setAside(first)
        carriers.share(second)
        #expect(!carriers.shareAgain(first))
        #expect(carriers.trunk === second && carriers.formerTrunks.first === first)
    }

    @Test("Where a conversation ends, its idle carriers end and its shared one takes no more; others stay")
    func retire() throws {
        let old = [try new(isIdle: true), try new(isIdle: true)]
        let shared = try new()
        carriers.share(shared)
        let before = shared.peer.conversation
        try client.establish()
        let fresh = try new(isIdle: true)
        carriers.retire { $0.belongs(to: before) }
        #expect(old.allSatisfy { $0.phase == .closed } && shared.isRetiring)
        #expect(fresh.phase == .idle && carriers.pool.all.map(\.ticket) == [fresh.ticket])
        carriers.retire { _ in true }
        #expect(fresh.phase == .closed && carriers.pool.count == 0)
    }
}
