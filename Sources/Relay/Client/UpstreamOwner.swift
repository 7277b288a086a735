// What a client's role is to its upstream: it has the applications, and knows when the loop ends.
internal import Pairing

/// What one loop tells all loops of its client, itself included.
enum UpstreamNews: Sendable {
    /// A new conversation stands.
    case conversationStands
    /// The server says that this conversation is over.
    case conversationEnded(ConversationID)
    /// The conversation's time is over.
    case conversationExpired
}

/// What an upstream asks of its role, and tells it.
protocol UpstreamOwner: AnyObject {
    var ending: ClientEnding { get }
    /// Carriers that the applications which wait would need.
    var carriersWaitedFor: Int { get }
    /// The next application that waits for a carrier; `sharing`: one that may share it.
    func nextWaiting(sharing: Bool) -> Application?
    /// Gives `application` to whatever is ready, or lets it wait.
    func serve(_ application: Application)
    /// No carrier can be had for `application`, which does not wait: it is reset.
    func turnAway(_ application: Application, _ why: String)
    /// A conversation is wanted, by a loop that does not pair.
    func requestPairing(urgently: Bool)
    func tellAllLoops(_ news: UpstreamNews)
    /// `carrier` ought to be on the other loop of its pair.
    func carrierIsMisplaced(_ carrier: Carrier)
    /// A carrier of this loop has ended.
    func carrierHasEnded()
    /// There may be nothing left that this loop waits for.
    func leaveIfDone()
}
