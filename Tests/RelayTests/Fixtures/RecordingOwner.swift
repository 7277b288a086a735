// The role behind a carrier under test: writes down every call.
import Pairing
import Wire

@testable import Relay

/// A `CarrierOwner` that records, and answers only what a test tells it to.
final class RecordingOwner: CarrierOwner {
    enum Call: Equatable {
        case confirmed
        case opens(OpenMessage)
        case idle
        case mayGoOn
        case bye
        case closed
    }

    private(set) var calls: [Call] = []
    /// How the carrier ended, if it has.
    private(set) var ending: CarrierEnd?
    /// The answer to `carrierMayGoOn`.
    var mayGoOn = true
    /// Sends CONFIRMED, as a server does that has paired.
    var confirmsBack = false
    /// Called after the call was recorded.
    var onIdle: ((Carrier) -> Void)?

    func carrierConfirmed(_ carrier: Carrier) {
        calls.append(.confirmed)
        if confirmsBack { carrier.due.insert(.confirmed) }
    }

    func carrier(_ carrier: Carrier, opens message: OpenMessage) { calls.append(.opens(message)) }

    func carrierIsIdle(_ carrier: Carrier) {
        calls.append(.idle)
        onIdle?(carrier)
    }

    func carrierMayGoOn(_ carrier: Carrier) -> Bool {
        calls.append(.mayGoOn)
        return mayGoOn
    }

    func carrierSaidBye(_ carrier: Carrier) { calls.append(.bye) }

    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd) {
        calls.append(.closed)
        ending = end
    }

    /// How often the stream ended at this end and the carrier was free again.
    var timesIdle: Int { calls.count { $0 == .idle } }

    /// The services asked for so far.
    var opened: [OpenMessage] {
        calls.compactMap { call in
            if case .opens(let message) = call { message } else { nil }
        }
    }

    /// The reason the carrier was lost for; nil if it was not lost.
    var lostBecause: String? {
        if case .lost(let why) = ending { why } else { nil }
    }

    /// The reason the stream was given up for; nil if it was not.
    var brokenBecause: String? {
        if case .streamBroken(let why) = ending { why } else { nil }
    }

    var endedInOrder: Bool {
        if case .orderly = ending { true } else { false }
    }
}
