// What one device may cost a loop in one turn before everybody else there has had theirs. Bytes are bounded by the
// rounds of a turn (CarrierSending.swift); this counts work that bytes do not show: a record of one byte can cost its
// receiver a system call, and an OPEN several.
//
// All of a device's carriers on a loop have one allowance between them, so that many carriers buy no more.
//
// A loop that is busy all the time is also one that the scheduler makes wait, and everybody on it with it. So what
// costs a receiver much more than its sender is paced as well: it runs up a debt of time, and while that is larger than
// the credit the device's carriers are not read.

/// The costs, in units of some 100 ns.
enum Cost {
    static var record: Int { 1 }
    static var frame: Int { 2 }
    /// A record that makes its stream look at its own sockets.
    static var look: Int { 5 }
    /// A system call on a socket, and who it wakes.
    static var call: Int { 40 }
    /// A question that may go round all loops.
    static var question: Int { 100 }
    /// A socket, its connecting, and everything that is remembered of it.
    static var connection: Int { 400 }
    /// Public-key work.
    static var agreement: Int { 1000 }
}

/// What work adds to a debt.
enum Debt {
    /// A further small record of one stream in one bundle: a fair sender says it all in one.
    static var crumb: Nanoseconds { 5_000 }
    /// A stream, while other devices want something of the loop too: more than the loop spends on it.
    static var stream: Nanoseconds { 100_000 }
    /// What is lent without a pause.
    static var credit: Nanoseconds { 1_000_000 }
}

/// One device's on one loop.
final class Allowance {
    /// Tells one device from another.
    let ticket = Ticket()
    /// What the device may have on all loops (server only).
    var budget: DeviceBudget?
    private var turn: UInt64 = 0
    private var spent = 0
    private var owesUntil: Nanoseconds = 0

    /// Units in one turn: some 200 µs.
    static var whole: Int { 2000 }

    /// Whether more may be done in the turn with this number.
    func isLeft(in turn: UInt64) -> Bool { turn != self.turn || spent < Self.whole }

    func spend(_ cost: Int, in turn: UInt64) {
        if turn != self.turn {
            self.turn = turn
            spent = 0
        }
        spent += cost
    }

    /// Runs up a debt of `time`.
    func owe(_ time: Nanoseconds, now: Nanoseconds) { owesUntil = max(owesUntil, now) &+ time }

    /// How long the device's carriers are not to be read; 0 if they may be.
    func pause(now: Nanoseconds) -> Nanoseconds {
        owesUntil > now &+ Debt.credit ? owesUntil &- now &- Debt.credit : 0
    }
}
