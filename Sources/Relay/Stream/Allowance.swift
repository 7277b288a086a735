// What one device may cost a loop in one turn before everybody else there has had theirs. Bytes are bounded by the
// rounds of a turn (CarrierSending.swift); this counts work that bytes do not show: a record of one byte can cost its
// receiver a system call, and an OPEN several.
//
// All of a device's carriers on a loop have one allowance between them, so that many carriers buy no more.

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

/// One device's on one loop.
final class Allowance {
    private var turn: UInt64 = 0
    private var spent = 0

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
}
