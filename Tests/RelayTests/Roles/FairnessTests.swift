// Two devices on one loop of a server: what one wants in great number must not hold up the other.
import Testing
import Wire

@testable import Relay

@Suite struct FairnessTests {
    @Test("While another device is active, a crowd of new streams begins a few at a time", arguments: [true, false])
    func opens(_ hasRival: Bool) throws {
        let bench = try RolesBench(devices: 2)
        let honest = try bench.open(1)
        // All of them in few bundles.
        let crowd = try (0..<300).map { _ in try bench.ask(0) }
        bench.turnClients()
        bench.turnClients()
        var begun = [bench.used(0).streams]
        #expect(
            bench.turn {
                if hasRival {
                    honest.application.write([1])
                    honest.target.write(honest.target.readAll().bytes)
                    _ = honest.application.readAll()
                }
                begun.append(bench.used(0).streams)
                return begun.last == crowd.count
            })
        // What the other device's answer waits for at most.
        let steps = zip(begun.dropFirst(), begun).map { $0 - $1 }
        let most = try #require(steps.dropFirst(5).max())
        if hasRival {
            #expect(most <= 3, "\(steps)")
            // And not one such step right after the other: a turn here is the time that one stream is owed.
            #expect(begun.count >= crowd.count * 9 / 10)
        } else {
            #expect(most > 3, "nobody is kept waiting for nothing")
        }
        withExtendedLifetime(crowd) {}
    }

    @Test("One bundle full of new streams is taken a few at a time to its end, if another device stays active")
    func bundle() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client, streams: 0)
        let rival = Ticket()
        let count = 900
        forger.send(.bundle, (1...UInt64(count)).flatMap { Record.open($0).bytes })
        var begun = [0]
        #expect(
            forger.bench.turn {
                forger.bench.clock.advance(by: .microseconds(200))
                forger.bench.shard.heard(rival)
                begun.append(forger.owner.seekers.count)
                return begun.last == count
            })
        let steps = zip(begun.dropFirst(), begun).map { $0 - $1 }
        #expect(try #require(steps.dropFirst(5).max()) <= 3, "\(steps)")
        withExtendedLifetime(apps) {}
    }
}
