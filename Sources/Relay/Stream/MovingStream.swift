// A stream between a shared carrier and its own: nothing drives it, and it may cross from one shard to another.
internal import CLinux
internal import Glibc
internal import Pairing
internal import Wire

/// What there is to know about a stream, its application's socket included. Whoever drops it without having adopted
/// the socket resets the application's connection.
///
/// Unchecked: it has one owner at a time, who gives it up when it gives it away.
final class MovingStream: @unchecked Sendable {
    /// Whose it is: only a carrier of the same conversation that asked for this number may have it.
    let conversation: ConversationID
    let number: UInt64
    let service: ServiceID
    /// How far it has come. All that the peer sent is here.
    let ledger: StreamLedger
    /// Its place in what the device may have (server only).
    var place: StreamPlace?
    private var socket: DetachedSocket?
    /// What the application has not taken yet of what was received.
    private var backlog = Backlog()

    /// Takes over `socket` and what is in `backlog`.
    init(
        _ socket: consuming DetachedSocket, of conversation: ConversationID, number: UInt64, service: ServiceID,
        ledger: StreamLedger, backlog: inout Backlog
    ) {
        self.socket = consume socket
        self.conversation = conversation
        self.number = number
        self.service = service
        self.ledger = ledger
        swap(&self.backlog, &backlog)
    }

    /// The socket on another poller; nil, and the connection reset, if the kernel refuses or it was adopted before.
    func adopt(on poller: Poller) -> Endpoint? {
        guard let socket = socket.take(), let endpoint = socket.adopt(on: poller) else { return nil }
        endpoint.resetsByDefault = true
        return endpoint
    }

    /// The stream goes nowhere: its application gets what waits for it, and a reset.
    func part(on shard: Shard) {
        guard let app = adopt(on: shard.poller) else { return }
        shard.counters.brokenStreams += 1
        var bytes = Backlog()
        swap(&bytes, &backlog)
        Farewell.say(to: app, bytes, of: place, on: shard)
    }

    /// The waiting bytes; nil if there are none. They are there for as long as this object is.
    var waiting: iovec? { backlog.isEmpty ? nil : iovec(iov_base: backlog.first, iov_len: backlog.count) }
}
