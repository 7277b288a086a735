// Streams that get no target: what the application sees, and what both logs have.
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct OpeningTests {
    private static let echo = ServiceID("echo")!

    private func isReset(_ application: TestSocket, _ bench: RolesBench) -> Bool {
        bench.turn { application.read() == .broken(TestSocket.connectionReset) }
    }

    /// Why the client's log says that streams were refused.
    private func refusals(_ bench: RolesBench) -> [CloseReason] {
        bench.clients[0].events.compactMap {
            if case .streamRefused(Self.echo, _, let reason) = $0 { reason } else { nil }
        }
    }

    @Test(
        "A target that refuses is told to the client as that, and to the server's log with device, address and reason",
        arguments: [CarrierChoice.shared, .own])
    func targetRefuses(_ choice: CarrierChoice) throws {
        let bench = try RolesBench(carrier: choice)
        bench.stopService()
        #expect(isReset(try bench.ask(), bench))
        #expect(refusals(bench) == [.targetRefused])
        let failures = bench.server.events.compactMap { event -> (String, DevicePlace, String)? in
            if case .targetFailed(Self.echo, let target, let device, let why) = event {
                (target, device, why)
            } else {
                nil
            }
        }
        #expect(failures.count == 1)
        let (target, device, why) = try #require(failures.first)
        #expect(target.hasPrefix("127.0.0.1:") && device.name == "device-0" && why == "Connection refused")
        #expect(device.address?.hasPrefix("127.0.0.1:") == true)
        // The carrier is none the worse.
        #expect(isReset(try bench.ask(), bench))
        #expect(bench.server.counters.streamsOpen == 0 && bench.used() == (0, 0))
    }

    @Test(
        "A service that a device may not use is refused before anybody is called, and the log names both",
        arguments: [CarrierChoice.shared, .own])
    func notAllowed(_ choice: CarrierChoice) throws {
        let bench = try RolesBench(carrier: choice, mayUseService: false)
        #expect(isReset(try bench.ask(), bench))
        #expect(refusals(bench) == [.serviceNotAllowed] && bench.arrival() == nil)
        let refused = bench.server.events.compactMap { event -> String? in
            if case .refused(let device, let service) = event { "\(device.name) \(service)" } else { nil }
        }
        #expect(refused == ["device-0 echo"])
    }

    @Test(
        "A stream for which a limit leaves no room is told as that, and the log says which limit",
        arguments: [CarrierChoice.shared, .own])
    func noRoom(_ choice: CarrierChoice) throws {
        let bench = try RolesBench(carrier: choice, deviceLimits: DeviceLimits(streams: 1))
        let first = try bench.open()
        #expect(isReset(try bench.ask(), bench))
        #expect(refusals(bench) == [.resourceExhausted] && bench.arrival() == nil)
        let turnedDown = bench.server.events.compactMap { event -> String? in
            if case .streamTurnedDown(Self.echo, let device, let why) = event { "\(device.name): \(why)" } else { nil }
        }
        #expect(turnedDown == ["device-0: limits.streams-per-device is reached"])
        first.application.write([1])
        #expect(bench.turn { first.target.read() == .bytes([1]) }, "the one that is there goes on")
    }

    @Test("Carriers that are accepted and idle are counted as that, on the loop where they are")
    func gauges() throws {
        let bench = try RolesBench(carrier: .own)
        #expect(bench.turn { bench.server.shards[0].gauged().carriersIdle == 2 })
        #expect(bench.server.shards[1].gauged().carriersIdle == 0)
        #expect(bench.clients[0].shards[0].gauged().carriersIdle == 2)
        let streams = try (0..<3).map { _ in try bench.open() }
        // As many again are opened ahead of need.
        #expect(bench.turn { bench.server.counters.carriersOpen == 5 })
        #expect(bench.turn { bench.server.shards[0].gauged().carriersIdle == 2 })
        withExtendedLifetime(streams) {}
    }
}
