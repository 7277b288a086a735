// Many heavy streams of honest clients that move at the same time, end while they are heavy, and leave their carriers to
// others. Every byte is compared at both ends.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("Streams that move at the same time")
    struct MovingTests {
        /// Performs all visits, `together` at a time, and reports what was wrong.
        private func perform(
            _ visits: [PatternVisit], together: Int, through endpoints: [Endpoint], to service: PatternService
        ) async throws {
            let next = Ticket()
            let faults = Inbox<String>()
            let numbered = Array(visits.enumerated())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<together {
                    group.addTask {
                        try await onThread {
                            while let (number, visit) = next.take(from: numbered) {
                                let fault = try visit.perform(through: endpoints[number % endpoints.count])
                                if let fault { faults.put(fault) }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for visit in visits where visit.leavesAfter == nil {
                try await eventually("the service has seen the end of \(visit)", within: .seconds(5)) {
                    service.isWhole(visit)
                }
            }
            let all = faults.takeAll() + service.faults.takeAll()
            #expect(all.isEmpty, "\(all.count) faults:\n\(all.prefix(20).joined(separator: "\n"))")
        }

        @Test("Two devices whose heavy streams move at the same time get their own bytes", arguments: ["1", "2"])
        func twoDevices(shards: String) async throws {
            try await withScene { scene in
                let service = PatternService()
                let target = try service.service(in: scene)
                let other = try HostileRig.newDevice("other.key", in: scene)
                let plan = TunnelPlan(to: target.endpoint).with {
                    $0.shards = shards
                    $0.moreDevices = "  other: {key: \"\(other)\", services: [sample]}\n"
                    // Light again soon after they are heavy.
                    $0.heartbeat = "50ms"
                }
                let tunnel = try await scene.tunnel(plan)
                let yaml = plan.clientYAML(serverAddress: tunnel.serverEndpoint, serverKey: tunnel.serverKey)
                try scene.write(
                    yaml.replacingOccurrences(of: "identity: client.key", with: "identity: other.key"), to: "other.yaml"
                )
                let second = try scene.start(
                    oncewireBinary, ["client", "--config", scene.path("other.yaml")], name: "client-other")
                let endpoints = [tunnel.endpoint(), try await HostileRig.readyEndpoint(of: second)]
                let visits = (0..<64 as Range<UInt64>).map { number in
                    // Some leave about when they move, some stay.
                    let leaves = number % 4 == 3 ? Int.random(in: 1...400_000) : nil
                    return PatternVisit(
                        seed: number, up: number % 3 == 0 ? 3_000_000 : Int.random(in: 0...300_000),
                        down: number % 3 == 1 ? 3_000_000 : Int.random(in: 0...300_000) + (leaves ?? 0),
                        leavesAfter: leaves)
                }
                try await perform(visits, together: 12, through: endpoints, to: service)
                second.signal(SIGTERM)
                #expect(try await second.waitForEnd() == .exited(0))
                try await tunnel.stop()
            }
        }

        @Test(
            "A stream that ends while it is heavy leaves a carrier on which the next one has its own bytes",
            arguments: ["own", "shared"], ["1", "2"])
        func turnover(carrier: String, shards: String) async throws {
            try await withScene { scene in
                let service = PatternService()
                // Its kernel takes little, so that the way up is often blocked.
                let target = try service.service(in: scene, buffer: 65536)
                let plan = TunnelPlan(to: target.endpoint).with {
                    $0.carrier = carrier
                    $0.shards = shards
                    // Few carriers, so that each has many streams.
                    $0.pool = "{min-idle: 0, max-idle: 2}"
                    $0.rekey = "{frames: 64}"
                }
                let tunnel = try await scene.tunnel(plan)
                // Turns are whole frames: sizes about their multiples end a stream just when it is found heavy.
                let sizes = [0, 1, 1000, 65536, 262_144, 524_288, 2_097_152, 3_000_000]
                let visits = (0..<120 as Range<UInt64>).map { number in
                    let leaves = number % 5 == 4 ? Int.random(in: 1...2_000_000) : nil
                    return PatternVisit(
                        seed: number, up: max(0, sizes.randomElement()! + Int.random(in: -40...40)),
                        down: max(0, sizes.randomElement()! + Int.random(in: -40...40)) + (leaves ?? 0),
                        leavesAfter: leaves)
                }
                try await perform(visits, together: 5, through: [tunnel.endpoint()], to: service)
                try await tunnel.stop()
            }
        }
    }
}
