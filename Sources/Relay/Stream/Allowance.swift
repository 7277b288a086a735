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

/// What some work adds to a debt, and how large a debt may be without a pause.
struct Debt {
    let time: Nanoseconds
    let credit: Nanoseconds

    /// A further small record of one stream in one bundle: a fair sender says it all in one.
    static let crumb = Debt(time: 5_000, credit: 4_000_000)
    /// A stream, while other devices want something of the loop too: more than the loop spends on it, and few at a time,
    /// because each costs several system calls that another device's answer waits for.
    static let stream = Debt(time: 200_000, credit: 500_000)
}

/// One device's on one loop.
final class Allowance {
    /// Tells one device from another.
    let ticket = Ticket()
    /// What the device may have on all loops (server only).
    var budget: DeviceBudget?
    // Accesses need no check at run time: nothing is called while one lasts.
    @exclusivity(unchecked) private var turn: UInt64 = 0
    @exclusivity(unchecked) private var spent = 0
    @exclusivity(unchecked) private var owesUntil: Nanoseconds = 0
    @exclusivity(unchecked) private var restsUntil: Nanoseconds = 0

    /// Units in one turn: some 200 µs.
    static var whole: Int { 2000 }

    /// How many frames may be decoded in the turn with this number.
    func frames(in turn: UInt64, now: Nanoseconds) -> Int {
        guard restsUntil <= now else { return 0 }
        return max(0, turn == self.turn ? Self.whole &- spent : Self.whole) / Cost.frame
    }

    /// Whether more may be done in the turn with this number.
    func isLeft(in turn: UInt64) -> Bool { turn != self.turn || spent < Self.whole }

    func spend(_ cost: Int, in turn: UInt64) {
        if turn != self.turn {
            self.turn = turn
            spent = 0
        }
        spent += cost
    }

    /// Runs up a debt. One that has reached its credit is waited for as a whole: many small slices would cost the loop more
    /// than the work itself.
    func owe(_ debt: Debt, now: Nanoseconds) {
        owesUntil = max(owesUntil, now) &+ debt.time
        if owesUntil > now &+ debt.credit { restsUntil = owesUntil }
    }

    /// How long the device's carriers are not to be read; 0 if they may be.
    func pause(now: Nanoseconds) -> Nanoseconds { restsUntil > now ? restsUntil &- now : 0 }
}
