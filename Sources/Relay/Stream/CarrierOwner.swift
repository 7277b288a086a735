// What a carrier asks of its role, client or server, and tells it.
internal import Pairing
internal import Wire

/// What a carrier tells the role that owns it, at either end.
protocol CarrierOwner: AnyObject {
    /// This owner as a client; nil at a server.
    var atClient: (any ClientCarrierOwner)? { get }
    /// This owner as a server; nil at a client.
    var atServer: (any ServerCarrierOwner)? { get }
    /// The peer's first frame was CONFIRM (server) or CONFIRMED (client): the carrier is idle now.
    func carrierConfirmed(_ carrier: Carrier)
    /// A stream of a shared carrier is over, or has gone to a carrier of its own.
    func carrierLostStream(_ carrier: Carrier)
    /// This carrier ought to be on the other loop of its pair: forget and `pack` it, or leave things as they are.
    func carrierIsMisplaced(_ carrier: Carrier)
    /// The stream is over at both ends and the carrier can take the next.
    func carrierIsIdle(_ carrier: Carrier)
    /// Whether the conversation may go on using this carrier; asked at every REKEY.
    func carrierMayGoOn(_ carrier: Carrier) -> Bool
    /// Whether this carrier, which is about to leave, is the one to say BYE; true at most once, and at a client only.
    func logsOff(on carrier: Carrier) -> Bool
    /// What carriers of this peer may cost their loop.
    func allowance(of peer: Peer) -> Allowance
    /// The last call: the carrier is closed.
    func carrierClosed(_ carrier: Carrier, _ end: CarrierEnd)
}

extension CarrierOwner {
    var atClient: (any ClientCarrierOwner)? { nil }
    var atServer: (any ServerCarrierOwner)? { nil }
    func logsOff(on carrier: Carrier) -> Bool { false }
}

/// What a carrier tells a client besides.
protocol ClientCarrierOwner: CarrierOwner {
    /// The server takes no further streams on this shared carrier.
    func carrierLeaves(_ carrier: Carrier)
    /// `stream` should have a carrier of its own; said again until it moves.
    func streamIsHeavy(_ stream: SharedStream)
    /// The server took nothing of a stream: `app` is to be served anew.
    func carrier(_ carrier: Carrier, givesBack app: Endpoint, _ first: FirstBytes, _ why: GivenBack)
    /// The link broke before the server said a word of a stream, which it may have begun or not.
    func carrier(_ carrier: Carrier, loses app: Endpoint, _ first: FirstBytes)
    /// Of the streams `numbers`, only `begun` have begun, or will.
    func carrier(_ carrier: Carrier, withdrew numbers: [UInt64], butNot begun: [UInt64])
    /// Something was heard on a carrier that was suspect.
    func carrierIsHeard(_ carrier: Carrier)
    /// The server refused a stream, which is reset.
    func carrier(_ carrier: Carrier, wasRefused service: ServiceID?, _ reason: CloseReason)
}

extension ClientCarrierOwner {
    var atClient: (any ClientCarrierOwner)? { self }
}

/// What a carrier tells a server besides.
protocol ServerCarrierOwner: CarrierOwner {
    /// The client asks for a stream. Answer with `connected` or `refuse`.
    func carrier(_ carrier: Carrier, opens message: OpenMessage)
    /// A stream of `service` that the client asked for has no target, at none of the addresses `tried`.
    func carrier(
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress])
    /// The client asks for a stream on a shared carrier. Answer with `stream.dial` or `stream.refuse`.
    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream)
    /// The client's first BUNDLE came: the carrier is a shared one from now on.
    func carrierIsShared(_ carrier: Carrier)
    /// The client wants a stream of a shared carrier to go on here. Answer with `takeOver`.
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage)
    /// The client gives up the streams `numbers` of other carriers. Returns those that have begun.
    func carrier(_ carrier: Carrier, withdraws numbers: [UInt64]) -> [UInt64]
    /// The client logged off.
    func carrierSaidBye(_ carrier: Carrier)
}

extension ServerCarrierOwner {
    var atServer: (any ServerCarrierOwner)? { self }
}

/// Why a server took nothing of a stream.
enum GivenBack {
    /// The conversation is over.
    case conversationOver
    /// The client has withdrawn it.
    case withdrawn
}

/// Which conversation a carrier belongs to, and whose it is.
struct Peer {
    let conversation: ConversationID
    let device: PublicKey

    init(_ conversation: ConversationID, _ device: PublicKey) {
        self.conversation = conversation
        self.device = device
    }
}
