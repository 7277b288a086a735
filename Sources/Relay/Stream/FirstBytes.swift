// What an application sent before the server has said a word of its stream. Where the server has not begun the stream,
// because the conversation was over, or because its carrier fell silent or broke first, it is opened again with the same
// bytes.
internal import Wire

/// The beginning of a stream, kept at the client until the server has shown that it took the OPEN. Not thread-safe.
final class FirstBytes {
    /// The stream's number on the present carrier.
    private(set) var number: UInt64
    let service: ServiceID
    let source: SourceAddress
    private var bytes = Backlog()
    /// How many of them went out on the present carrier.
    private var said = 0
    /// How often a server has refused this stream because the conversation was over.
    private(set) var refusals = 0
    /// How often it was opened in vain for other reasons.
    private(set) var losses = 0
    /// It is being asked whether the server has begun the stream: its carrier of its own reads no more for now, so that
    /// everything is still here if not.
    var isInDoubt = false
    /// The server has taken the OPEN: the stream cannot begin anew, and these are kept only as long as some are unsaid.
    var isTaken = false
    /// When the stream was opened on the present carrier.
    private var since: Nanoseconds

    /// More than this is not kept. On a shared carrier no more can leave before the server says something.
    static let most = Int(RecordHeader.window)

    init(_ message: OpenMessage, now: Nanoseconds) {
        number = message.streamNumber
        service = message.service
        source = message.source
        since = now
    }

    /// Bytes that the present carrier has not taken yet.
    var unsaid: Int { bytes.count - said }

    /// Copies the next `count` bytes that are to be said to `place`, and counts them as said.
    func say(_ count: Int, to place: UnsafeMutableRawPointer) {
        place.copyMemory(from: bytes.first + said, byteCount: count)
        said += count
    }

    /// The application sent these, and they went out. False if they cannot be kept.
    func keep(_ more: UnsafeRawPointer, _ count: Int) -> Bool {
        guard bytes.count + count <= Self.most, bytes.append(more, count) else { return false }
        said += count
        return true
    }

    /// The stream did not begin: all of it is to be said again.
    func didNotBegin(_ why: GivenBack) {
        switch why {
        case .conversationOver: refusals += 1
        case .withdrawn: losses += 1
        }
        said = 0
        isInDoubt = false
    }

    /// It is opened on another carrier, under `number`.
    func begin(as number: UInt64, now: Nanoseconds) {
        self.number = number
        since = now
    }

    /// Whether the server must have read the OPEN by now: its carrier was heard more than a heartbeat after that.
    func isSettled(now: Nanoseconds, _ carrier: Carrier) -> Bool {
        let heartbeat = carrier.timings.heartbeat
        return now &- since >= 2 * heartbeat && carrier.lastHeard &- min(since, carrier.lastHeard) > heartbeat
    }
}
