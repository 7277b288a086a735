// What a loop asks of whatever it serves. It knows nothing else of that.

/// What a loop serves: the client's or the server's half of the tunnel.
protocol Role: AnyObject, SendableMetatype {
    /// Where letters to it go.
    var door: Door<Self> { get }
    /// Runs once, on the loop's thread, before the first turn.
    func begin()
    /// A graceful end was asked for: accept nothing new, let streams finish.
    func drain()
    /// Every loop of the daemon drains: nothing will come from another any more.
    func everybodyDrains()
    /// The drain time-out passed: end every stream.
    func cut()
    /// Nothing is left to do: the loop may end.
    var isFinished: Bool { get }
    /// Sets what is not counted as it happens but can be seen now.
    func gauge(_ counters: inout Counters)
}

/// Something that has more to do when everything else of a turn is done.
protocol TurnEnder: AnyObject {
    /// The turn is nearly over.
    func endTurn()
}

/// What is left of a stream: it belongs to nobody any more but its loop, which does not end before it has.
protocol Lingerer: AnyObject {
    var ticket: Ticket { get }
    /// The loop's time is over. Ends it at once.
    func cut()
}
