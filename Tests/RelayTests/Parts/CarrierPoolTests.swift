import Testing

@testable import Relay

@Suite struct CarrierPoolTests {
    private let bench: Bench
    private let owner = RecordingOwner()
    private let carriers: [Carrier]

    init() throws {
        let bench = try Bench()
        self.bench = bench
        let owner = owner
        carriers = (0..<10).map { _ in
            let (ours, tests) = TestSocket.descriptors(.unix)
            _ = TestSocket(tests)
            return bench.carrier(.client, link: ours, keys: crossedKeys().client(), phase: .idle, owner: owner)
        }
    }

    private func pool(floor: Int, cap: Int = 64, filledWith count: Int) -> CarrierPool {
        var pool = CarrierPool(floor: floor, cap: cap)
        for carrier in carriers.prefix(count) { #expect(put(carrier, &pool)) }
        return pool
    }

    private func put(_ carrier: Carrier, _ pool: inout CarrierPool) -> Bool { pool.put(carrier) }

    private func indices(_ some: [Carrier]) -> [Int] {
        some.compactMap { carrier in carriers.firstIndex { $0 === carrier } }
    }

    @Test("The carrier given back last is taken first")
    func lastInFirstOut() {
        var pool = pool(floor: 0, filledWith: 3)
        for index in [2, 1, 0] { #expect(pool.take() === carriers[index]) }
        #expect(pool.take() == nil)
    }

    @Test("No more are kept than the cap allows")
    func cap() {
        var pool = pool(floor: 0, cap: 2, filledWith: 2)
        #expect(!put(carriers[2], &pool))
        #expect(pool.count == 2)
        _ = pool.take()
        #expect(put(carriers[2], &pool))
    }

    @Test("Carriers that were never needed between two trims go by halves, the longest unused first")
    func trimHalves() {
        var pool = pool(floor: 2, filledWith: 10)
        // They came after the last trim: nobody knows yet whether they are needed.
        #expect(pool.trim().isEmpty)
        #expect(indices(pool.trim()) == [0, 1, 2, 3])
        #expect(indices(pool.trim()) == [4, 5])
        #expect(indices(pool.trim()) == [6])
        #expect(indices(pool.trim()) == [7])
        #expect(pool.trim().isEmpty)
        #expect(pool.count == 2)
    }

    @Test("Carriers that were needed, however shortly, stay")
    func trimSparesTheNeeded() {
        var pool = pool(floor: 1, filledWith: 8)
        #expect(pool.trim().isEmpty)
        let taken = (0..<5).compactMap { _ in pool.take() }
        for carrier in taken { #expect(put(carrier, &pool)) }
        // Three were never taken, one of them is the floor.
        #expect(indices(pool.trim()) == [0])
        #expect(pool.count == 7)
    }

    @Test("A carrier that broke is no longer in the pool, and counts as one that was not there")
    func remove() {
        var pool = pool(floor: 0, filledWith: 4)
        #expect(pool.trim().isEmpty)
        pool.remove(carriers[3])
        pool.remove(carriers[9])
        #expect(pool.count == 3)
        #expect(pool.take() === carriers[2])
        #expect(put(carriers[2], &pool))
        #expect(indices(pool.trim()) == [0])
    }

    @Test("All can be taken out at once")
    func takeAll() {
        var pool = pool(floor: 2, filledWith: 3)
        #expect(indices(pool.takeAll()) == [0, 1, 2])
        #expect(pool.count == 0)
        #expect(pool.trim().isEmpty)
    }

    @Test("A pool that may keep fewer gives up those that were unused longest")
    func resized() {
        var pool = pool(floor: 0, cap: 9, filledWith: 6)
        #expect(indices(pool.resize(floor: 1, cap: 4)) == [0, 1])
        #expect(pool.count == 4 && pool.floor == 1)
        #expect(!put(carriers[8], &pool))
        #expect(pool.resize(floor: 2, cap: 5).isEmpty)
        #expect(put(carriers[8], &pool))
        #expect(pool.resize(floor: 0, cap: 0).count == 5 && pool.count == 0)
        #expect(pool.trim().isEmpty)
    }
}
