// Application and service each do something and end in one of four ways, at random. Whoever reads to the end gets as
// many bytes as on a direct connection, and an end.

import Foundation
import Glibc
import Synchronization
import Testing

extension OneAtATime {
    @Suite("Random endings")
    struct RandomEndingTests {
        /// What one side does, in this order.
        private struct Script: Sendable, CustomStringConvertible {
            enum Ending: CaseIterable, Sendable {
                /// Half-closes and reads to the end.
                case finish
                /// Reads to the end.
                case read
                /// Closes without reading.
                case close
                case reset
            }

            /// Milliseconds before it sends, and before it ends.
            let before, after: UInt32
            /// Bytes that it sends.
            let count: Int
            let ending: Ending

            var description: String { "\(before) ms, \(count) bytes, \(after) ms, \(ending)" }
            var reads: Bool { ending == .finish || ending == .read }

            static func random(_ random: inout SeededRandom, latest: [UInt32]) -> Script {
                Script(
                    before: latest.randomElement(using: &random)!, after: [0, 20, 40].randomElement(using: &random)!,
                    count: [0, 1, 20, 1000, 5000, 40_000].randomElement(using: &random)!,
                    ending: Ending.allCases.randomElement(using: &random)!)
            }

            /// Does it. What was received counts only if it reads to the end.
            func perform(on socket: Socket) -> Sight {
                // The pauses are what is tested: they let the two sides meet in every order.
                usleep(before * 1000)
                if count > 0 { try? socket.send([UInt8](repeating: 120, count: count)) }
                usleep(after * 1000)
                switch ending {
                case .finish:
                    try? socket.finish()
                    return sight(of: socket.received())
                case .read: return sight(of: socket.received())
                case .close:
                    socket.close()
                    return Sight(count: 0, ended: true)
                case .reset:
                    try? socket.reset()
                    return Sight(count: 0, ended: true)
                }
            }

            private func sight(of received: Received) -> Sight {
                Sight(count: received.bytes.count, ended: received.end != .silence)
            }
        }

        /// What a side that reads to the end saw. Whether the end was a reset is not compared: a send that fails takes
        /// the error away from the read after it.
        private struct Sight: Equatable, Sendable {
            let count: Int
            let ended: Bool
        }

        private struct Sights: Equatable, Sendable {
            let application, service: Sight
        }

        /// The service: looks up what to do in the number that comes first.
        private final class Stage: Sendable {
            private struct Act {
                let script: Script
                var seen: Sight?
            }
            private let acts = Mutex<[UInt64: Act]>([:])
            private let next = Atomic<UInt64>(1)

            func service(in scene: Scene) throws -> SampleService {
                try scene.service { [self] connection in
                    try connection.setTimeout(.seconds(5))
                    let number = try connection.receive(exactly: 8).reduce(0) { $0 << 8 | UInt64($1) }
                    guard let script = acts.withLock({ $0[number]?.script }) else { return }
                    let sight = script.perform(on: connection)
                    acts.withLock { $0[number]?.seen = sight }
                }
            }

            /// Both scripts, through whatever listens there.
            func perform(_ application: Script, _ service: Script, through endpoint: Endpoint) throws -> Sights {
                let number = next.add(1, ordering: .relaxed).newValue
                acts.withLock { $0[number] = Act(script: service) }
                let socket = try Socket.connect(to: endpoint, timeout: .seconds(5))
                try socket.send(HostilePeer.bigEndian(number))
                usleep(30_000)
                let mine = application.perform(on: socket)
                socket.close()
                try until("the service has ended", within: .seconds(8)) { acts.withLock { $0[number]?.seen != nil } }
                return Sights(application: mine, service: acts.withLock { $0[number]!.seen! })
            }
        }

        @Test(
            "Whoever reads to the end gets as many bytes as on a direct connection", arguments: ["own", "shared"], 0..<2
        )
        func asDirectly(carrier: String, part: Int) async throws {
            let seed = UInt64.random(in: 0 ... .max)
            var random = SeededRandom(seed: seed)
            var scripts: [(Script, Script)] = []
            while scripts.count < 50 {
                let (application, service) = (
                    Script.random(&random, latest: [0, 60]), Script.random(&random, latest: [30, 60, 120])
                )
                // Two that only read wait for each other.
                if (application.reads || service.reads) && !(application.ending == .read && service.ending == .read) {
                    scripts.append((application, service))
                }
            }
            let all = scripts
            try await withScene { scene in
                let stage = Stage()
                let service = try stage.service(in: scene)
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint).with { $0.carrier = carrier })
                let next = Ticket()
                let differences = Inbox<String>()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<10 {
                        group.addTask {
                            try await onThread {
                                while let (application, peer) = next.take(from: all) {
                                    let direct = try stage.perform(application, peer, through: service.endpoint)
                                    let seen = try stage.perform(application, peer, through: tunnel.endpoint())
                                    if seen == direct { continue }
                                    // Is the kernel alone sure of it?
                                    let again = try stage.perform(application, peer, through: service.endpoint)
                                    guard again == direct else { continue }
                                    differences.put(
                                        "application \(application); service \(peer): \(seen), directly \(direct)")
                                }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let found = differences.takeAll()
                #expect(
                    found.isEmpty,
                    "seed \(seed), \(carrier): \(found.count) of 50 differ\n\(found.joined(separator: "\n"))")
                try await tunnel.stop()
            }
        }
    }
}

/// Numbers that a seed repeats (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
