// How a client finds out on one carrier what has become of streams on another that has fallen silent or broken:
//
//   client                                    server
//   OPEN 7 on carrier A  ----- x              (lost, late, or served and the answer lost: nobody knows)
//   WITHDRAW 7 on carrier B  -------------->  has 7 begun? If not, it never will
//                            <--------------  WITHDRAWN, with 7 if it has begun
//
// A stream that has not begun is opened anew under another number. One that has begun stays where it is. So no stream
// is lost that could be served, and none reaches a target twice.
internal import Wire

/// What a carrier has been asked, or asks, about streams of others.
final class Withdrawing {
    /// The numbers that were asked about (client).
    let asked: [UInt64]
    /// Those of them that have begun (server).
    let begun: [UInt64]
    /// When it was asked.
    let since: Nanoseconds
    /// The question, or the answer, has still to be said.
    var isDue = true

    /// The client gives up the streams `asked`.
    init(asking asked: [UInt64], now: Nanoseconds) {
        self.asked = asked
        since = now
        begun = []
    }

    /// The server answers that `begun` have begun.
    init(answering begun: [UInt64]) {
        asked = []
        self.begun = begun
        since = 0
    }
}

extension Carrier {
    /// Whether other carriers' streams can be withdrawn here now (client).
    var mayWithdraw: Bool {
        (phase == .idle || phase == .shared) && withdrawing == nil && !trust.isSuspect && !link.hungUp && !link.failed
    }

    /// Gives up the streams `numbers` of other carriers, unless they have begun (client). The owner hears of the answer.
    func withdraw(_ numbers: [UInt64]) {
        precondition(mayWithdraw, "one question at a time")
        withdrawing = Withdrawing(asking: numbers, now: shard.now)
        phase == .shared ? flushSoon() : advance()
    }

    /// Encodes the question or the answer. False if the carrier is closed now.
    func encodeWithdrawing() -> Bool {
        guard let withdrawing, withdrawing.isDue else { return true }
        withdrawing.isDue = false
        let message = StreamNumbersMessage(side == .client ? withdrawing.asked : withdrawing.begun)
        message.write(to: link.payloadPlace)
        if side == .server { self.withdrawing = nil }
        return encode(side == .client ? .withdraw : .withdrawn, message.encodedCount)
    }

    /// WITHDRAW came.
    func handleWithdraw(_ message: StreamNumbersMessage) {
        allowance.spend(Cost.question, in: shard.turns)
        withdrawing = Withdrawing(answering: owner.atServer?.carrier(self, withdraws: message.numbers) ?? [])
    }

    /// WITHDRAWN came.
    func handleWithdrawn(_ message: StreamNumbersMessage) {
        guard let withdrawing else { return }
        guard message.numbers.allSatisfy(withdrawing.asked.contains) else {
            return violated(.unaskedStream)
        }
        self.withdrawing = nil
        owner.atClient?.carrier(self, withdrew: withdrawing.asked, butNot: message.numbers)
    }

    /// The numbers of the streams here that could begin anew elsewhere: all that was read from their applications is
    /// kept, and the server has said nothing of them (client).
    var openings: [UInt64] {
        if let sharing { return sharing.streams.values.filter(\.canBeginAnew).map(\.number) }
        guard phase == .streaming, let first, let app, app.brokenBy == 0 else { return [] }
        return [first.number]
    }

    /// The stream `number` has not begun and never will: its owner gets the application's connection back (client). False
    /// if it is not here any more.
    func takeBack(_ number: UInt64) -> Bool {
        if let sharing { return sharing.streams[number]?.giveBack(.withdrawn) ?? false }
        guard first?.number == number else { return false }
        return giveBack(.withdrawn)
    }
}

extension GivenBack {
    /// What REFUSED says with `reason`; nil if the stream is not to be opened again.
    init?(_ reason: CloseReason) {
        switch reason {
        case .draining: self = .conversationOver
        case .withdrawn: self = .withdrawn
        default: return nil
        }
    }
}
