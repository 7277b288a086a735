// The carrier target's role: it agrees to everything, and answers when an input says so.
import Glibc
import Pairing
import Settings
import Wire

@testable import Relay

/// Owns both carriers of a rig.
final class RigOwner: ClientCarrierOwner, ServerCarrierOwner {
    var carriers: [Carrier] = []
    var apps: [App] = []
    private(set) var closed = 0
    private let shard: Shard
    private var waiting: [(stream: SharedStream?, carrier: Carrier, number: UInt64, opening: Int)] = []
    private var openings: [Int] = [0, 0]
    private let allowance = Allowance()
    /// What the peer sends of a stream of a shared carrier, by its number.
    var ofShared: (_ carrier: Carrier, _ number: UInt64) -> Outgoing = { _, _ in Outgoing() }
    /// What the peer sends of the stream that its so manieth OPEN began.
    var ofOpening: (_ carrier: Carrier, _ index: Int) -> Outgoing = { _, _ in Outgoing() }

    init(_ shard: Shard) { self.shard = shard }

    /// The near end of a new application's connection.
    func connect(_ number: UInt64, _ source: Outgoing) -> Endpoint? {
        let ends = CarrierRig.sockets()
        guard let endpoint = shard.poller.add(fd: ends.0) else { return nil }
        endpoint.resetsByDefault = true
        apps.append(App(number, ends.1, source))
        return endpoint
    }

    /// How much of a stream its application has taken.
    func read(_ number: UInt64) -> UInt64 { apps.last { $0.number == number }?.taken ?? 0 }

    /// The oldest question for a target: 0 connects it, anything else refuses.
    func answer(_ code: UInt8) {
        guard !waiting.isEmpty else { return }
        let (stream, carrier, number, opening) = waiting.removeFirst()
        let reason = CloseReason(rawValue: code)
        if let stream {
            guard stream.awaitsTarget else { return }
            if let reason { return stream.refuse(reason) }
            guard let target = connect(number, ofShared(carrier, number)) else { return }
            stream.dialled(.connected(target))
        } else {
            guard carrier.phase == .dialing else { return }
            if let reason { return carrier.refuse(reason) }
            guard let target = connect(number, ofOpening(carrier, opening)) else { return }
            carrier.connected(target)
        }
    }

    func refuseAll() { waiting = [] }

    // MARK: Of carriers

    func carrierConfirmed(_ carrier: Carrier) {}
    func carrier(_ carrier: Carrier, opens message: OpenMessage) {
        let lane = carrier === carriers[0] ? 0 : 1
        waiting.append((nil, carrier, message.streamNumber, openings[lane]))
        openings[lane] += 1
    }
    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {
        waiting.append((stream, carrier, message.streamNumber, 0))
    }
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) {
        let shared = carriers.first { $0 !== carrier && $0.phase == .shared }
        guard let stream = shared?.sharing?.streams[message.stream] else { return carrier.takeOver(nil) }
        stream.handOver(at: message.progress, to: carrier.ticket) { carrier.takeOver($0) }
    }
    func streamIsHeavy(_ stream: SharedStream) {
        guard stream.mayMove, let other = carriers.first(where: { $0.phase == .idle }) else { return }
        other.move(stream)
    }
    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack) { app.reset() }
    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes) { app.reset() }
    func carrier(_ carrier: Carrier, withdraws numbers: [UInt64]) -> [UInt64] { numbers.filter { $0 % 2 == 0 } }
    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64]) {}
    func carrierIsHeard(_ carrier: Carrier) { carrier.trust.wasHeard() }
    func carrierIsShared(_ carrier: Carrier) {}
    func carrierLostStream(_ carrier: Carrier) {}
    func carrierLeaves(_ carrier: Carrier) { carrier.retire() }
    func carrierIsMisplaced(_ carrier: Carrier) {}
    func carrierIsIdle(_ carrier: Carrier) {}
    func carrierMayGoOn(_ carrier: Carrier) -> Bool { true }
    func allowance(of peer: Peer) -> Allowance { allowance }
    func carrier(
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress]
    ) {}
    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason) {}
    func carrierSaidBye(_ carrier: Carrier) { carrier.end(.orderly) }
    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) { closed += 1 }
}
