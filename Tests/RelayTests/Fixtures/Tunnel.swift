// A client's and a server's end of one carrier on one shard, and the applications at both ends.
import Codec
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

/// Two carriers back to back.
final class Tunnel {
    let bench: Bench
    let clientOwner = RecordingOwner()
    let serverOwner = RecordingOwner()
    let client: Carrier
    let server: Carrier
    private var streams: UInt64 = 0

    /// A tunnel that is idle: CONFIRM has been sent and seen.
    init(link: Connection = .unix, settings: CommonSettings = CommonSettings(), serverSettings: CommonSettings? = nil)
        throws
    {
        bench = try Bench()
        let (clientEnd, serverEnd) = TestSocket.descriptors(link)
        let keys = crossedKeys()
        client = bench.carrier(
            .client, link: clientEnd, keys: keys.client(), phase: .idle, owner: clientOwner, settings: settings)
        server = bench.carrier(
            .server, link: serverEnd, keys: keys.server(), phase: .confirming, owner: serverOwner,
            settings: serverSettings ?? settings)
        client.due.insert(.confirm)
        client.advance()
        let serverOwner = serverOwner
        try #require(bench.turn { serverOwner.calls == [.confirmed] })
    }

    deinit { bench.endAll() }

    // MARK: Streams

    /// The two ends of a stream as the applications see them.
    struct Stream {
        let application: TestSocket
        let target: TestSocket
    }

    /// Opens a stream and connects its target.
    func open(_ kind: Connection = .unix) throws -> Stream {
        let application = ask(kind)
        return Stream(application: application, target: try connectTarget(kind))
    }

    /// An application connects to the client; returns its end.
    @discardableResult func ask(_ kind: Connection = .unix, sending bytes: [UInt8] = []) -> TestSocket {
        let (endpoint, application) = bench.connection(kind)
        application.write(bytes)
        client.open(nextOpen(), for: endpoint)
        return application
    }

    /// The OPEN of the next stream.
    func nextOpen() -> OpenMessage {
        streams += 1
        return OpenMessage(streamNumber: streams, source: .v4(0x7F00_0001, port: 4711), service: ServiceID("echo")!)
    }

    /// Waits for OPEN at the server and connects a target; returns the target's end.
    func connectTarget(_ kind: Connection = .unix) throws -> TestSocket {
        try #require(bench.turn { server.phase == .dialing })
        let (endpoint, target) = bench.connection(kind)
        server.connected(endpoint)
        return target
    }

    // MARK: Going on

    /// Turns until nothing moves any more (unix sockets only: what is written is there at once).
    func settle() {
        var quiet = 0
        var before = progress
        while quiet < 4 {
            bench.turn()
            let now = progress
            quiet = now == before ? quiet + 1 : 0
            before = now
        }
    }

    func turn(until isDone: () -> Bool) -> Bool { bench.turn(until: isDone) }

    private var progress: [Int] {
        let counters = bench.shard.counters
        return [counters.framesIn, counters.framesOut, counters.bytesIn, counters.bytesOut].map(Int.init)
            + [clientOwner.calls.count, serverOwner.calls.count]
            + [client, server].flatMap { [$0.outStart, $0.outEnd, $0.filled, $0.parsed, $0.vectorFirst] }
    }

    /// Buffers lent out now.
    var lent: Int { bench.shard.regions.lent }

    /// Whether both ends are free for the next stream, and hold nothing.
    var isIdle: Bool {
        client.phase == .idle && server.phase == .idle && client.app == nil && server.app == nil && lent == 0
    }
}
