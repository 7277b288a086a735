import Settings
import Synchronization
import Testing
import Wire

@testable import Relay

/// The roles of real daemons on loops that the test turns, with heavy and light streams that begin and end at any moment.
@Suite struct RolesTests {
    /// A stream with both its flows.
    private struct Talk {
        let flows: [Flow]
        var isOver: Bool { flows.allSatisfy { $0.ending != nil } }
    }

    private func talk(_ bench: RolesBench, _ device: Int, _ isHeavy: Bool, _ generator: inout SeededGenerator) throws
        -> Talk
    {
        let stream = try bench.open(device)
        let sizes = isHeavy ? [16_000_000] : [10, 20_000, 300_000, 8_000_000]
        let seed = UInt64.random(in: 0...1_000_000, using: &generator)
        return Talk(flows: [
            Flow(
                sizes.randomElement(using: &generator)!, from: stream.application, to: stream.target, largest: 200_000,
                seed: seed),
            Flow(
                sizes.randomElement(using: &generator)!, from: stream.target, to: stream.application, largest: 200_000,
                seed: seed + 1),
        ])
    }

    @Test(
        "Light and heavy streams of two devices: every byte arrives where it belongs, and no carrier is where it must not be",
        arguments: [CarrierChoice.shared, .own], 1...2 as ClosedRange<UInt64>)
    func randomDays(_ carrier: CarrierChoice, _ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let bench = try RolesBench(devices: 2, carrier: carrier)
        var talks: [Talk] = []
        var begun = 0
        let isDone = try bench.turn {
            if begun < 12, talks.count < 5, Int.random(in: 0..<20, using: &generator) == 0 {
                talks.append(try talk(bench, begun % 2, begun < 2, &generator))
                begun += 1
            }
            // More than a turn carries, so that some streams count as heavy.
            for talk in talks { for flow in talk.flows { for _ in 0..<8 { flow.step() } } }
            let wrong = bench.contradictions()
            try #require(wrong.isEmpty, "seed \(seed): \(wrong)")
            for talk in talks where talk.isOver {
                #expect(talk.flows.allSatisfy { $0.isComplete }, "seed \(seed)")
            }
            talks.removeAll { $0.isOver }
            return begun == 12 && talks.isEmpty
        }
        #expect(isDone, "seed \(seed): stuck")
        #expect(bench.turn { (0..<2).allSatisfy { bench.used($0) == (0, 0) } }, "places are given back")
        let passes = bench.clients.reduce(0) { $0 + $1.counters.passes } + bench.server.counters.passes
        #expect(passes > 0, "seed \(seed): no carrier changed loops, so this tried nothing")
        #expect(bench.server.counters.brokenStreams == 0)
    }

    @Test("A stream that used up its turns and ended leaves a carrier that the next one can have", arguments: 1...2)
    func heavyThenNext(_ round: Int) throws {
        let bench = try RolesBench(carrier: .own)
        for index in 0..<6 as Range<UInt64> {
            let stream = try bench.open()
            let flows = [
                Flow(3_000_000 * round, from: stream.application, to: stream.target, largest: 250_000, seed: index),
                Flow(10, from: stream.target, to: stream.application, largest: 10, seed: index + 100),
            ]
            #expect(
                try bench.turn {
                    for flow in flows { for _ in 0..<8 { flow.step() } }
                    try #require(bench.contradictions().isEmpty, "\(bench.contradictions())")
                    return flows.allSatisfy { $0.ending != nil }
                })
            #expect(flows.allSatisfy { $0.isComplete })
        }
    }

    @Test("A server forgets what a device may cost when its last carrier has gone")
    func allowances() throws {
        let bench = try RolesBench(devices: 2)
        _ = try bench.open(0)
        #expect(bench.turn { bench.server.roles[0].devicesHere == 2 })
        for shard in bench.clients[1].shards { shard.drain(limit: 1_000_000_000) }
        #expect(bench.turn { bench.server.roles[0].devicesHere == 1 })
    }
}
