// Which streams have begun: what is not known for certain counts as begun, and what was withdrawn never begins.
import Testing

@testable import Vault

@Suite("Streams that have begun")
struct BegunStreamsTests {
    @Test("A stream that has begun cannot be withdrawn, one that was withdrawn cannot begin")
    func once() {
        let streams = Streams()
        #expect(streams.begin(5))
        #expect(!streams.withdraw(5))
        #expect(streams.withdraw(6) && streams.withdraw(6))
        #expect(!streams.begin(6) && !streams.begin(6))
        #expect(!streams.withdraw(5) && streams.withdraw(6), "asking changes nothing")
        #expect(streams.begin(7))
    }

    @Test("Nothing has begun in a conversation that is new, whatever its numbers are", arguments: [1, 63, 64, 1 << 40])
    func new(_ number: UInt64) {
        let streams = Streams()
        #expect(streams.withdraw(number))
        #expect(streams.begin(number + 3))
        #expect(streams.withdraw(number + 1) && !streams.begin(number) && !streams.begin(number + 1))
        #expect(streams.begin(number + 2) && !streams.withdraw(number + 2))
    }

    @Test("A device that gives one number to two streams is not the vault's affair")
    func twice() {
        let streams = Streams()
        #expect(streams.begin(1) && streams.begin(1))
    }

    @Test("Agrees with a plain set as numbers rise out of order, for as many as it tells apart", arguments: 0..<8)
    func random(_ seed: UInt64) {
        var generator = Generator(state: seed &+ 1)
        let streams = Streams()
        var begun: Set<UInt64> = []
        var withdrawn: Set<UInt64> = []
        var next: UInt64 = seed * 1_000_000
        for _ in 0..<60_000 {
            next += .random(in: 0...2, using: &generator)
            let number = next &- min(next, .random(in: 0...500, using: &generator))
            if Int.random(in: 0..<10, using: &generator) == 0 {
                let answer = streams.withdraw(number)
                if withdrawn.count < 2000 || withdrawn.contains(number) || begun.contains(number) {
                    #expect(answer == !begun.contains(number))
                }
                if answer { withdrawn.insert(number) }
            } else if streams.begin(number) {
                #expect(!withdrawn.contains(number))
                begun.insert(number)
            }
        }
        #expect(begun.count > 10_000)
    }

    @Test("Numbers that are too old count as begun, and withdrawn ones never begin, however many there were")
    func old() {
        let streams = Streams()
        #expect(streams.withdraw(1) && streams.begin(2))
        for number in UInt64(10)..<10_000 { #expect(streams.withdraw(number)) }
        #expect((1..<10_000).allSatisfy { $0 == 2 || !streams.begin($0) })
        #expect(streams.begin(1 << 20))
        #expect(!streams.withdraw(10_001), "nobody knows any more")
        #expect(!streams.withdraw((1 << 20) - UInt64(BegunStreams.most)))
        #expect(streams.withdraw((1 << 20) - 1000))
        #expect((1..<10_000).allSatisfy { $0 == 2 || !streams.begin($0) })
    }

    @Test("A jump beyond everything forgets what was, and no more")
    func jump() {
        let streams = Streams()
        #expect(streams.begin(1) && streams.begin(.max) && streams.begin(.max - 5))
        #expect(!streams.withdraw(1) && !streams.withdraw(.max) && !streams.withdraw(.max - 5))
        #expect(streams.withdraw(.max - 6) && !streams.begin(.max - 6))
    }

    /// By reference, so that expectations can call it.
    private final class Streams {
        private var value = BegunStreams()
        func begin(_ number: UInt64) -> Bool { value.begin(number) }
        func withdraw(_ number: UInt64) -> Bool { value.withdraw(number) }
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
