import Testing
import Wire

@testable import Relay

@Suite struct HeavyQueueTests {
    private let trunk: Trunk
    private let streams: [Trunk.Stream]
    private let shared: [SharedStream]

    init() throws {
        let trunk = try Trunk()
        self.trunk = trunk
        streams = try (0..<3).map { _ in try trunk.open() }
        for stream in streams { try trunk.greet(stream) }
        shared = try streams.map { try #require(trunk.atClient($0)) }
    }

    @Test("Who came first has the first carrier, and may come again when it has had one")
    func order() {
        var queue = HeavyQueue()
        for stream in shared { queue.enter(stream) }
        #expect(queue.count == 3 && shared.allSatisfy(\.isQueued))
        for stream in shared { #expect(queue.next() === stream) }
        #expect(queue.next() === nil)
        #expect(queue.count == 0 && !shared.contains { $0.isQueued })
        queue.enter(shared[0])
        #expect(queue.count == 1)
    }

    @Test("However often a stream says that it is heavy, it waits once")
    func once() {
        var queue = HeavyQueue()
        for _ in 0..<3 { queue.enter(shared[1]) }
        #expect(queue.count == 1)
    }

    @Test("One that has ended meanwhile is passed over, and forgotten where nobody asks for the next")
    func ended() {
        var queue = HeavyQueue()
        for stream in shared { queue.enter(stream) }
        shared[0].abort(.carrierClosed)
        #expect(queue.next() === shared[1])
        shared[2].abort(.carrierClosed)
        queue.forgetTheRest()
        #expect(queue.count == 0 && !shared[2].isQueued)
        withExtendedLifetime(streams) {}
    }
}
