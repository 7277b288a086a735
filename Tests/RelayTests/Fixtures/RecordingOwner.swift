// The role behind a carrier under test: writes down every call.
import Pairing
import Wire

@testable import Relay

/// An owner at either end that records, and answers only what a test tells it to.
final class RecordingOwner: ClientCarrierOwner, ServerCarrierOwner {
    enum Call: Equatable {
        case confirmed
        case opens(OpenMessage)
        case opensShared(OpenMessage)
        case shared
        case lostStream
        case leaves
        case heavy(UInt64)
        case misplaced
        case takesOver(MoveMessage)
        case idle
        case mayGoOn
        case refused(CloseReason)
        case givenBack(Int)
        case lost(Int)
        case withdraws([UInt64])
        case withdrew([UInt64], butNot: [UInt64])
        case heard
        case bye
        case closed
    }

    private(set) var calls: [Call] = []
    /// How the carrier ended, if it has.
    private(set) var ending: CarrierEnd?
    /// The answer to `carrierMayGoOn`.
    var mayGoOn = true
    /// What has begun, for the answer to `withdraws`.
    var begun: [UInt64] = []
    /// Sends CONFIRMED, as a server does that has paired.
    var confirmsBack = false
    /// Called after the call was recorded.
    var onIdle: ((Carrier) -> Void)?
    /// Called after a stream on a shared carrier was recorded; without it the stream waits among `seekers`.
    var onOpen: ((SharedStream) -> Void)?
    /// Called after MOVE and a heavy stream were recorded.
    var onMove: ((Carrier, MoveMessage) -> Void)?
    var onHeavy: ((SharedStream) -> Void)?
    var onMisplaced: ((Carrier) -> Void)?
    /// The streams on a shared carrier that still want their target, in the order of their OPENs.
    var seekers: [SharedStream] = []

    func carrierConfirmed(_ carrier: Carrier) {
        calls.append(.confirmed)
        if confirmsBack { carrier.due.insert(.confirmed) }
    }

    func carrier(_ carrier: Carrier, opens message: OpenMessage) { calls.append(.opens(message)) }

    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {
        calls.append(.opensShared(message))
        if let onOpen { onOpen(stream) } else { seekers.append(stream) }
    }

    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack) {
        calls.append(.givenBack(first.unsaid))
        app.reset()
    }

    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes) {
        calls.append(.lost(first.unsaid))
        carrier.shard.counters.brokenStreams += 1
        app.reset()
    }

    func carrier(_ carrier: Carrier, withdraws numbers: [UInt64]) -> [UInt64] {
        calls.append(.withdraws(numbers))
        return begun.filter(numbers.contains)
    }

    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64]) {
        calls.append(.withdrew(numbers, butNot: begun))
    }

    func carrierIsHeard(_ carrier: Carrier) {
        carrier.trust.wasHeard()
        calls.append(.heard)
    }

    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) {
        calls.append(.takesOver(message))
        onMove?(carrier, message)
    }

    func carrier(
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress]
    ) {}

    func carrierIsShared(_ carrier: Carrier) { calls.append(.shared) }

    func carrierLostStream(_ carrier: Carrier) { calls.append(.lostStream) }

    func carrierLeaves(_ carrier: Carrier) {
        calls.append(.leaves)
        carrier.retire()
    }

    func streamIsHeavy(_ stream: SharedStream) {
        calls.append(.heavy(stream.number))
        onHeavy?(stream)
    }

    func carrierIsMisplaced(_ carrier: Carrier) {
        calls.append(.misplaced)
        onMisplaced?(carrier)
    }

    func carrierIsIdle(_ carrier: Carrier) {
        calls.append(.idle)
        onIdle?(carrier)
    }

    func carrierMayGoOn(_ carrier: Carrier) -> Bool {
        calls.append(.mayGoOn)
        return mayGoOn
    }

    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason) {
        calls.append(.refused(reason))
    }

    /// That of the bench's carriers: they are one device's.
    var allowance = Allowance()
    func allowance(of peer: Peer) -> Allowance { allowance }

    func carrierSaidBye(_ carrier: Carrier) { calls.append(.bye) }

    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) {
        calls.append(.closed)
        ending = end
    }

    /// How often the stream ended at this end and the carrier was free again.
    var timesIdle: Int { calls.count { $0 == .idle } }

    /// How many streams on a shared carrier were asked for so far.
    var opensShared: UInt64 {
        calls.reduce(0) { count, call in
            if case .opensShared = call { count + 1 } else { count }
        }
    }

    /// The services asked for so far.
    var opened: [OpenMessage] {
        calls.compactMap { call in
            if case .opens(let message) = call { message } else { nil }
        }
    }

    /// The reason the carrier was lost for; nil if it was not lost.
    var lostBecause: String? {
        if case .lost(let why) = ending { why.description } else { nil }
    }

    /// The reason the stream was given up for; nil if it was not.
    var brokenBecause: String? {
        if case .streamBroken(let why) = ending { why.description } else { nil }
    }

    var endedInOrder: Bool {
        if case .orderly = ending { true } else { false }
    }
}
