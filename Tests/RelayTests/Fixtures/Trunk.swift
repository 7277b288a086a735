// A client's and a server's end of one shared carrier on one shard, carriers for streams that move, and the
// applications at both ends.
import Codec
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

/// Two shared carriers back to back. The server's owner connects a target for every OPEN at once.
final class Trunk {
    let bench: Bench
    let clientOwner = RecordingOwner()
    let serverOwner = RecordingOwner()
    let client: Carrier
    let server: Carrier
    private let settings: CommonSettings
    private var streams: UInt64 = 0
    private var targets: [UInt64: TestSocket] = [:]
    private var owners: [RecordingOwner] = []
    private var seed: UInt64 = 1000

    init(
        link: Connection = .unix, targets kind: Connection = .unix, settings: CommonSettings = CommonSettings(),
        serverSettings: CommonSettings? = nil
    ) throws {
        bench = try Bench()
        self.settings = settings
        let (clientEnd, serverEnd) = TestSocket.descriptors(link)
        let keys = crossedKeys()
        client = bench.carrier(
            .client, link: clientEnd, keys: keys.client(), phase: .idle, owner: clientOwner, settings: settings)
        server = bench.carrier(
            .server, link: serverEnd, keys: keys.server(), phase: .confirming, owner: serverOwner,
            settings: serverSettings ?? settings)
        client.due.insert(.confirm)
        client.share()
        serverOwner.onOpen = { [unowned self] stream in
            let (endpoint, target) = bench.connection(kind)
            targets[stream.number] = target
            stream.dialled(.connected(endpoint))
        }
    }

    deinit { bench.endAll() }

    /// A stream, and its two ends as the applications see them.
    struct Stream {
        let number: UInt64
        let application: TestSocket
        let target: TestSocket
    }

    // MARK: Streams

    /// Opens a stream and waits for its target.
    func open(_ kind: Connection = .unix) throws -> Stream {
        let application = ask(kind)
        let number = streams
        try #require(bench.turn { targets[number] != nil })
        return Stream(number: number, application: application, target: try #require(targets[number]))
    }

    /// An application connects to the client; returns its end.
    @discardableResult func ask(_ kind: Connection = .unix, sending bytes: [UInt8] = []) -> TestSocket {
        let (endpoint, application) = bench.accepted(kind)
        application.write(bytes)
        streams += 1
        client.openShared(
            OpenMessage(streamNumber: streams, source: .v4(0x7F00_0001, port: 4711), service: ServiceID("echo")!),
            for: endpoint)
        return application
    }

    /// The number of the stream that was opened last.
    var lastNumber: UInt64 { streams }
    /// The target's end of a stream, if it has been connected.
    func target(_ number: UInt64) -> TestSocket? { targets[number] }

    /// The two ends of a stream on the shared carrier, while it is there.
    func atClient(_ stream: Stream) -> SharedStream? { client.sharing?.streams[stream.number] }
    func atServer(_ stream: Stream) -> SharedStream? { server.sharing?.streams[stream.number] }

    // MARK: Moving

    /// Both ends of a carrier for one stream, idle. The server's end looks for what MOVE names on the shared carrier.
    struct Pair {
        let client: Carrier
        let server: Carrier
        let clientOwner: RecordingOwner
        let serverOwner: RecordingOwner

        /// Free for the next stream.
        var isIdle: Bool {
            client.phase == .idle && server.phase == .idle && client.app == nil && server.app == nil
        }
    }

    func pair(link: Connection = .unix) -> Pair {
        seed += 1
        let keys = crossedKeys(seed: seed)
        let (clientEnd, serverEnd) = TestSocket.descriptors(link)
        let (near, far) = (RecordingOwner(), RecordingOwner())
        owners += [near, far]
        far.onMove = { [unowned self] carrier, message in
            guard let stream = server.sharing?.streams[message.stream] else { return carrier.takeOver(nil) }
            stream.handOver(at: message.progress, to: carrier.ticket) { carrier.takeOver($0) }
        }
        return Pair(
            client: bench.carrier(
                .client, link: clientEnd, keys: keys.client(), phase: .idle, owner: near, settings: settings),
            server: bench.carrier(
                .server, link: serverEnd, keys: keys.server(), phase: .idle, owner: far, settings: settings),
            clientOwner: near, serverOwner: far)
    }

    /// Moves `stream` to a carrier of its own; nil if it may not move now.
    func move(_ stream: Stream) -> Pair? {
        guard let shared = atClient(stream), shared.mayMove else { return nil }
        let pair = pair()
        pair.client.move(shared)
        return pair
    }

    /// A byte each way, so that both ends know the stream.
    func greet(_ stream: Stream) throws {
        stream.application.write([1])
        stream.target.write([2])
        bench.settle()
        try #require(stream.target.read() == .bytes([1]))
        try #require(stream.application.read() == .bytes([2]))
    }

    // MARK: Going on

    func turn(until isDone: () -> Bool) -> Bool { bench.turn(until: isDone) }
    func settle() { bench.settle() }
    /// Buffers lent out now.
    var lent: Int { bench.shard.regions.lent }

    /// Drives `flows` until all of them have ended, calling `meanwhile` once a round.
    func run(
        _ flows: [Flow], sourceLocation: SourceLocation = #_sourceLocation, meanwhile: () -> Void = {}
    ) {
        let ended = turn {
            for flow in flows { flow.step() }
            meanwhile()
            return flows.allSatisfy { $0.ending != nil }
        }
        #expect(ended, "stuck", sourceLocation: sourceLocation)
        for (index, flow) in flows.enumerated() {
            #expect(flow.received.count == flow.bytes.count, "flow \(index)", sourceLocation: sourceLocation)
            #expect(flow.isComplete, "flow \(index)", sourceLocation: sourceLocation)
        }
    }

    /// Neither end of the shared carrier has ended so far.
    func expectCarriersUnbroken(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(client.phase == .shared && server.phase == .shared, sourceLocation: sourceLocation)
        #expect(clientOwner.ending == nil && serverOwner.ending == nil, sourceLocation: sourceLocation)
    }

    /// Nothing went wrong so far.
    func expectUnbroken(sourceLocation: SourceLocation = #_sourceLocation) {
        expectCarriersUnbroken(sourceLocation: sourceLocation)
        #expect(bench.shard.counters.brokenStreams == 0, sourceLocation: sourceLocation)
    }
}
