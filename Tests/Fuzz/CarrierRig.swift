// What an input of the carrier target is made of: two carriers of one side on one loop, the peer's ends of their links,
// their applications, a role that answers, and time. All that knows the insides of Relay is here.
import Codec
import Glibc
import Pairing
import Settings
import Wire

@testable import Relay

/// Carries out the acts of one input and watches what comes of them.
final class CarrierRig {
    /// What an act's first byte asks for, beside the numbers of frame types: those send a frame, its length in two bytes
    /// and its plaintext following (of DATA, only the length counts).
    enum Act: UInt8, CaseIterable {
        /// A record for the bundle: kind, stream, and for what has a payload, its parameter.
        case record = 32
        /// Sends the records so far.
        case bundle
        /// FIN with the right total, of the stream that has the carrier.
        case fin
        /// Loose bytes: a count in two bytes, and they.
        case loose
        /// The other carrier is meant from now on.
        case other
        /// What was sent arrives, and the loop turns.
        case turn
        /// An application: which, and how much in two bytes.
        case write
        /// An application: which, and how much, in units of 257 bytes.
        case read
        /// An application: which.
        case end, close
        /// The target of the oldest stream that waits for one: 0 connects, anything else is a reason.
        case answer
        /// So many tenths of a second pass.
        case wait
        /// The role.
        case open, share, openShared, retire, bye
        /// So many stream numbers are withdrawn.
        case withdraw
        /// A server gets MOVE and a client MOVED, for the stream with this number, with the right totals.
        case move
        /// The peer closes the link, or only its sending side.
        case hangUp, shutDown
        /// The peer stops reading, or goes on.
        case deaf
    }

    private let shard: Shard
    private let owner: RigOwner
    private var lanes: [Lane] = []
    private var lane = 0
    private let clock = Clock()
    private var isDeaf = false
    private var streams: UInt64 = 0

    init(_ side: Side) {
        do {
            let clock = clock
            shard = try Shard(
                index: 0, mailbox: try Mailbox(), clock: { clock.now }, sinceBoot: { clock.now }, emit: { _ in })
        } catch { fatalError("\(error)") }
        owner = RigOwner(shard)
        let peer = Peer(Self.conversation, Self.device)
        for _ in 0..<2 {
            let ends = Self.sockets()
            guard let link = shard.poller.add(fd: ends.0) else { fatalError("epoll refuses a socket") }
            let carrier = Carrier(
                side: side, link: link, keys: Self.keys(), phase: side == .server ? .confirming : .idle, peer: peer,
                timings: CarrierTimings(CommonSettings()), shard: shard, owner: owner)
            lanes.append(Lane(carrier: carrier, link: ends.1))
        }
        owner.carriers = lanes.map(\.carrier)
        owner.ofShared = { [unowned self] in lanes[$0 === lanes[0].carrier ? 0 : 1].stream($1) }
        owner.ofOpening = { [unowned self] in lanes[$0 === lanes[0].carrier ? 0 : 1].openings[$1] }
    }

    private static let conversation = ConversationIDMint(.generate()).mint()
    private static let device = Identity.generate().publicKey

    /// Any keys do: nothing is encrypted.
    private static func keys() -> CarrierKeys {
        let (zero, prefix) = ([UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 14))
        return CarrierKeys(
            sending: EncoderSource(entropy: Secret(count: 32), personalization: zero, prefix: prefix),
            receiving: DecoderSource(entropy: Secret(count: 32), personalization: zero, prefix: prefix))
    }

    /// Two ends of a connection. The first one's buffer is small, so that it is full at times.
    static func sockets() -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { fatalError("no sockets: errno \(errno)") }
        var small: Int32 = 1 << 13
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, socklen_t(MemoryLayout<Int32>.size))
        return (ends[0], ends[1])
    }

    static func openPlaintext(_ stream: UInt64) -> [UInt8] {
        let message = OpenMessage(streamNumber: stream, source: .none, service: ServiceID("echo")!)
        var plaintext = [UInt8](repeating: 0, count: message.encodedCount)
        plaintext.withUnsafeMutableBytes { message.write(to: $0.baseAddress!) }
        return plaintext
    }

    /// Some carrier has not ended.
    var isAlive: Bool { lanes.contains { $0.carrier.phase != .closed } }

    // MARK: Acts

    func act(_ bytes: inout Bytes) {
        let code = bytes.byte()
        if let type = FrameType(rawValue: code) { return sendFrame(type, &bytes) }
        // Every byte is some act, so that no input is for nothing.
        let act =
            Act(rawValue: code) ?? Act(rawValue: Act.record.rawValue + code % UInt8(Act.allCases.count)) ?? .turn
        let carrier = lanes[lane].carrier
        switch act {
        case .record: addRecord(&bytes)
        case .bundle: lanes[lane].sendBundle()
        case .fin: lanes[lane].send(.fin, bigEndian(lanes[lane].own.sent))
        case .loose: lanes[lane].put(bytes.some(bytes.number()))
        case .other: lane = 1 - lane
        case .turn: turn()
        case .write: with(bytes.byte()) { $0.write(bytes.number()) }
        case .read: with(bytes.byte()) { $0.read((1 + Int(bytes.byte())) * 257) }
        case .end: with(bytes.byte()) { $0.shutdownWrite() }
        case .close: with(bytes.byte()) { $0.close() }
        case .answer: owner.answer(bytes.byte())
        case .wait: pass(UInt64(bytes.byte()) * 100_000_000)
        case .open: open(carrier)
        case .share: if carrier.phase == .idle, carrier.side == .client { carrier.share() }
        case .openShared: openShared(carrier)
        case .retire: if carrier.phase != .closed { carrier.retire() }
        case .bye: sayBye(carrier)
        case .withdraw: withdraw(carrier, Int(bytes.byte()))
        case .move: sendMove(UInt64(bytes.byte()))
        case .hangUp: lanes[lane].hangUp()
        case .shutDown: lanes[lane].shutdownWrite()
        case .deaf: isDeaf.toggle()
        }
        check()
    }

    private func sendFrame(_ type: FrameType, _ bytes: inout Bytes) {
        let count = bytes.number()
        switch type {
        case .data: lanes[lane].sendData(count)
        case .bundle: lanes[lane].send(.bundle, bytes.some(count), isRaw: true)
        default: lanes[lane].send(type, bytes.some(count))
        }
    }

    private func addRecord(_ bytes: inout Bytes) {
        let kind = RecordKind(rawValue: bytes.byte() % 9) ?? .data
        let number = UInt64(bytes.byte())
        switch kind {
        case .open: lanes[lane].add(kind, number, Self.openPlaintext(number))
        case .data: lanes[lane].addData(number, bytes.number() % (RecordHeader.maxData + 1))
        // Mostly the truth, and sometimes a little more or less.
        case .fin: lanes[lane].add(kind, number, bigEndian(lanes[lane].sent(number) &+ UInt64(bytes.byte() / 128)))
        case .credit: lanes[lane].add(kind, number, bigEndian(owner.read(number) &+ UInt64(bytes.byte() / 128)))
        case .refused, .abort: lanes[lane].add(kind, number, [bytes.byte() % 12])
        case .heavy: lanes[lane].add(kind, number, [])
        }
    }

    private func open(_ carrier: Carrier) {
        guard carrier.side == .client, carrier.phase == .idle else { return }
        turn()
        guard carrier.phase == .idle else { return }
        streams += 1
        lanes[lane].begin()
        guard let end = owner.connect(streams, lanes[lane].own) else { return }
        carrier.open(OpenMessage(streamNumber: streams, source: .none, service: ServiceID("echo")!), for: end)
    }

    private func openShared(_ carrier: Carrier) {
        guard carrier.side == .client, carrier.takesStreams else { return }
        streams += 1
        guard let end = owner.connect(streams, lanes[lane].stream(streams)) else { return }
        carrier.openShared(OpenMessage(streamNumber: streams, source: .none, service: ServiceID("echo")!), for: end)
    }

    private func sayBye(_ carrier: Carrier) {
        guard carrier.side == .client, !carrier.hasStream, carrier.phase == .idle || carrier.phase == .shared else {
            return
        }
        carrier.sayBye()
    }

    private func withdraw(_ carrier: Carrier, _ count: Int) {
        guard carrier.side == .client, carrier.mayWithdraw else { return }
        carrier.withdraw((0..<UInt64(1 + count % 64)).map { $0 + 1 })
    }

    private func sendMove(_ number: UInt64) {
        let sent = lanes[1 - lane].sent(number)
        let progress = bigEndian(number) + bigEndian(sent) + [0]
        lanes[lane].continues(lanes[1 - lane].stream(number))
        lanes[lane].send(lanes[lane].carrier.side == .server ? .move : .moved, progress)
    }

    private func with(_ index: UInt8, _ body: (inout App) -> Void) {
        guard !owner.apps.isEmpty else { return }
        body(&owner.apps[Int(index) % owner.apps.count])
    }

    // MARK: Going on

    private func turn() {
        for index in lanes.indices { lanes[index].deliver() }
        for _ in 0..<3 { shard.turn(mayWait: false) }
        if !isDeaf { for index in lanes.indices { lanes[index].listen() } }
    }

    private func pass(_ time: Nanoseconds) {
        clock.now += time
        turn()
    }

    /// What must hold at any time.
    private func check() {
        must(shard.regions.lent <= 5, "\(shard.regions.lent) regions for two carriers")
        must(shard.counters.streamsOpen >= 0, "fewer streams than none")
    }

    /// Ends everything, and looks whether anything is left.
    func finish() {
        turn()
        if !isDeaf { for index in owner.apps.indices { owner.apps[index].read() } }
        for lane in lanes where lane.carrier.phase != .closed { lane.carrier.end(.orderly) }
        owner.refuseAll()
        shard.cut()
        for _ in 0..<3 { shard.turn(mayWait: false) }
        must(lanes.allSatisfy { $0.carrier.phase == .closed }, "a carrier that cannot end")
        must(owner.closed == lanes.count, "\(owner.closed) carriers said that they ended")
        must(shard.counters.streamsOpen == 0, "\(shard.counters.streamsOpen) streams are left")
        must(shard.counters.carriersOpen == 0, "\(shard.counters.carriersOpen) carriers are left")
        must(
            shard.lingerers(SharedStream.self) == 0 && shard.lingerers(Farewell.self) == 0,
            "somebody lives on after everything was cut")
        must(shard.regions.lent == 0, "\(shard.regions.lent) regions are not given back")
        for index in owner.apps.indices {
            owner.apps[index].read()
            owner.apps[index].close()
        }
        for index in lanes.indices { lanes[index].hangUp() }
        owner.carriers = []
    }

    /// Time, which moves only when an act says so.
    private final class Clock {
        var now: Nanoseconds = 1_000_000_000_000
    }
}
