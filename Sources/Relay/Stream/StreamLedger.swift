// What has gone and come of one stream, in bytes and ends. The same for a stream on a carrier of its own, on a shared one,
// on its way between the two, and on its way between loops. Pure: it sends nothing and asks nobody.
internal import Wire

/// The account of one stream at one end. All numbers are DATA bytes since the stream began.
struct StreamLedger: Equatable, Sendable {
    /// The direction from the application to the peer.
    enum Outgoing: Equatable, Sendable {
        /// More may come from the application.
        case open
        /// The application has closed its sending side, and FIN waits for room.
        case finDue
        /// FIN was sent.
        case ended
    }

    /// The direction from the peer to the application.
    enum Incoming: Equatable, Sendable {
        /// More may come from the peer.
        case open
        /// FIN has come with the right total.
        case ended
        /// ... and everything before it was written to the application, and its end passed on.
        case passedOn
    }

    private(set) var outgoing = Outgoing.open
    private(set) var incoming = Incoming.open
    /// Bytes that were sent.
    private(set) var sent: UInt64 = 0
    /// How many of those the peer has passed on, as far as it has said (shared carriers only).
    private(set) var acknowledged: UInt64 = 0
    /// Bytes that came.
    private(set) var received: UInt64 = 0
    /// How many of those the application has taken (shared carriers only).
    private(set) var passedOn: UInt64 = 0
    /// What the peer was last told of `passedOn`.
    private(set) var credited: UInt64 = 0

    /// A stream that begins.
    init() {}

    /// A stream that goes on on a carrier of its own, after `sent` and `received`, with the end passed on or not.
    init(sent: StreamProgress, received: StreamProgress, isEndPassedOn: Bool) {
        self.sent = sent.total
        self.received = received.total
        outgoing = sent.hasEnded ? .ended : .open
        incoming = received.hasEnded ? (isEndPassedOn ? .passedOn : .ended) : .open
    }

    // MARK: From the application

    /// `count` bytes were sent.
    mutating func send(_ count: Int) { sent &+= UInt64(truncatingIfNeeded: count) }

    /// Bytes that may still be sent on a shared carrier before the peer passes some on.
    var window: UInt64 { acknowledged &+ RecordHeader.window &- sent }

    /// The application has closed its sending side.
    mutating func applicationEnded() {
        if outgoing == .open { outgoing = .finDue }
    }

    /// FIN was sent: nothing is from now on.
    mutating func finSent() { outgoing = .ended }

    /// Whether FIN was sent.
    var hasSentFin: Bool { outgoing == .ended }

    /// How far the direction to the peer has come.
    var progress: StreamProgress { StreamProgress(total: sent, hasEnded: hasSentFin) }

    /// CREDIT came: the peer has passed on `total` bytes.
    mutating func acknowledge(_ total: UInt64) throws(PeerFault) {
        // One that brings nothing would cost more to read than to send.
        guard total > acknowledged, total <= sent else {
            throw .credit(said: total, sent: sent, known: acknowledged)
        }
        acknowledged = total
    }

    // MARK: From the peer

    /// `count` bytes came on a carrier of its own, where TCP bounds what is on its way. FIN has not come.
    mutating func receive(_ count: Int) { received &+= UInt64(truncatingIfNeeded: count) }

    /// `count` bytes came on a shared carrier.
    mutating func receiveShared(_ count: Int) throws(PeerFault) {
        guard incoming == .open else { throw .dataAfterFin }
        received &+= UInt64(truncatingIfNeeded: count)
        guard received &- credited <= RecordHeader.window else { throw .beyondWindow }
    }

    /// FIN came after `total` bytes, as the peer counts.
    mutating func receiveFin(_ total: UInt64) throws(PeerFault) {
        guard incoming == .open, total == received else { throw .total(said: total, came: received) }
        incoming = .ended
    }

    /// Whether FIN has come.
    var hasFin: Bool { incoming != .open }

    /// Whether the end of the direction from the peer was passed on to the application.
    var hasPassedOnEnd: Bool { incoming == .passedOn }

    /// The application has taken `count` more bytes.
    mutating func passOn(_ count: Int) { passedOn &+= UInt64(truncatingIfNeeded: count) }

    /// Everything before FIN was written, and the end is passed on.
    mutating func passOnEnd() { incoming = .passedOn }

    /// Whether the peer should hear how much was passed on.
    var isCreditDue: Bool { passedOn &- credited >= RecordHeader.window / 2 && !hasFin }

    /// Whether so much was passed on that it is worth looking at the stream.
    var hasPassedOnMuch: Bool { passedOn &- credited >= RecordHeader.window / 2 }

    /// The peer was told of all that was passed on.
    mutating func creditSent() { credited = passedOn }

    /// Whether everything that the peer counted at `progress` has come, and nothing is missing or too much.
    func hasReceived(_ progress: StreamProgress) -> Bool {
        received == progress.total && hasFin == progress.hasEnded
    }

    // MARK: Both

    /// Whether FIN was sent and has come.
    var hasEnded: Bool { hasSentFin && hasFin }

    /// Whether nothing is left to do for this stream at this end.
    var isDone: Bool { hasSentFin && hasPassedOnEnd }
}
