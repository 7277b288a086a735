// The ledger of a stream with any sequence of calls: once against a peer that may say anything, beside a second account
// in plain numbers; once between two honest ends, where no fault may ever be found.
import Wire

@testable import Relay

/// The first byte chooses; then each call takes a byte for what it is and eight for its number.
struct LedgerTarget: FuzzTarget {
    func run(_ input: [UInt8]) {
        var bytes = Bytes(input)
        if bytes.byte() & 1 == 0 {
            var account = Account()
            while !bytes.isEmpty, !account.isBroken { account.call(bytes.byte(), bytes.wide()) }
        } else {
            var ends = HonestEnds()
            while !bytes.isEmpty { ends.act(bytes.byte(), bytes.number()) }
            ends.finish()
        }
    }

    static var seeds: [(name: String, bytes: [UInt8])] {
        func call(_ code: UInt8, _ number: UInt64 = 0) -> [UInt8] { [code] + bigEndian(number) }
        let transfer = [
            call(0, 100), call(3, 50), call(3, 100), call(4, 16384), call(4, 16384), call(6, 32768), call(8),
            call(4, 9),
            call(5, 32777), call(6, 9), call(7), call(1), call(2),
        ].flatMap(\.self)
        return [
            ("peer", [0] + transfer), ("move", [0] + call(0, 10) + call(4, 10) + call(9) + call(0, 7) + call(5, 10)),
            ("wrong-total", [0] + call(4, 10) + call(5, 11)), ("wrong-credit", [0] + call(3, 1)),
            ("too-much", [0] + Array(repeating: call(4, 16384), count: 5).flatMap(\.self)),
            ("honest", [1] + (0..<12 as Range<UInt8>).flatMap { [$0, 0x40, 0] } + [2, 0, 0, 7, 0, 0]),
        ]
    }

    // MARK: A peer that may say anything

    /// The ledger and what it should say.
    private struct Account {
        private var ledger = StreamLedger()
        private var (sent, acknowledged, received, passedOn, credited) = (0, 0, 0, 0, 0)
        private var isShared = true
        /// A fault ended the carrier.
        private(set) var isBroken = false

        mutating func call(_ code: UInt8, _ number: UInt64) {
            let before = ledger
            switch code % 10 {
            case 0: send(number)
            case 1: ledger.applicationEnded()
            case 2: if ledger.outgoing == .finDue { ledger.finSent() }
            case 3: acknowledge(number)
            case 4: receive(Int(number % UInt64(RecordHeader.maxData + 1)))
            case 5: receiveFin(number)
            case 6: passOn(number)
            case 7: if ledger.incoming == .ended, passedOn == received || !isShared { ledger.passOnEnd() }
            case 8: credit()
            default: move()
            }
            compare()
            must(
                !before.hasSentFin || ledger.hasSentFin && ledger.sent == before.sent, "FIN was sent, and more after it"
            )
            must(!before.hasFin || ledger.hasFin, "FIN had come, and then not")
            must(!before.isDone || ledger.isDone, "a stream that was over goes on")
        }

        private mutating func send(_ number: UInt64) {
            guard ledger.outgoing == .open else { return }
            let count = isShared ? min(number, ledger.window) : number % 65537
            ledger.send(Int(count))
            sent += Int(count)
        }

        private mutating func acknowledge(_ total: UInt64) {
            guard isShared else { return }
            let isRight = total > UInt64(acknowledged) && total <= UInt64(sent)
            expectFault(!isRight) { ledger throws(PeerFault) in try ledger.acknowledge(total) }
            if isRight { acknowledged = Int(total) }
        }

        private mutating func receive(_ count: Int) {
            guard isShared else {
                guard !ledger.hasFin else { return }
                ledger.receive(count)
                received += count
                return
            }
            let isRight = !ledger.hasFin && received + count - credited <= Int(RecordHeader.window)
            let hadFin = ledger.hasFin
            expectFault(!isRight) { ledger throws(PeerFault) in try ledger.receiveShared(count) }
            if !hadFin { received += count }
        }

        private mutating func receiveFin(_ total: UInt64) {
            // The right total is too seldom met by chance.
            let total = total & 3 == 0 ? UInt64(received) : total
            let isRight = !ledger.hasFin && total == UInt64(received)
            expectFault(!isRight) { ledger throws(PeerFault) in try ledger.receiveFin(total) }
        }

        private mutating func passOn(_ number: UInt64) {
            guard isShared else { return }
            let count = Int(min(number, UInt64(received - passedOn)))
            ledger.passOn(count)
            passedOn += count
        }

        private mutating func credit() {
            guard ledger.isCreditDue else { return }
            must(passedOn - credited >= Int(RecordHeader.window) / 2, "CREDIT for next to nothing")
            ledger.creditSent()
            credited = passedOn
        }

        /// The stream goes on on a carrier of its own.
        private mutating func move() {
            guard ledger.outgoing != .finDue else { return }
            let incoming = StreamProgress(total: ledger.received, hasEnded: ledger.hasFin)
            must(ledger.hasReceived(incoming), "not everything has come that has come")
            let next = StreamLedger(
                sent: ledger.progress, received: incoming, isEndPassedOn: ledger.hasPassedOnEnd)
            must(next.progress == ledger.progress && next.hasReceived(incoming), "a move that loses count")
            must(next.isDone == ledger.isDone && next.hasEnded == ledger.hasEnded, "a move that changes an end")
            ledger = next
            (isShared, acknowledged, passedOn, credited) = (false, 0, 0, 0)
        }

        private func compare() {
            must(ledger.sent == UInt64(sent) && ledger.received == UInt64(received), "a wrong count of bytes")
            guard isShared else { return }
            must(ledger.acknowledged == UInt64(acknowledged), "a wrong count of what the peer passed on")
            must(ledger.passedOn == UInt64(passedOn) && ledger.credited == UInt64(credited), "a wrong count passed on")
            must(sent - acknowledged <= Int(RecordHeader.window), "more is on its way than a window")
            must(ledger.window == RecordHeader.window - UInt64(sent - acknowledged), "a window of another size")
            must(
                ledger.progress == StreamProgress(total: UInt64(sent), hasEnded: ledger.hasSentFin), "another progress")
        }

        private mutating func expectFault(_ isDue: Bool, _ body: (inout StreamLedger) throws(PeerFault) -> Void) {
            do throws(PeerFault) {
                try body(&ledger)
                must(!isDue, "a fault that nobody finds")
            } catch {
                must(isDue, "\(error), and nothing was wrong")
                isBroken = true
            }
        }
    }

    // MARK: Honest ends

    /// Two ledgers, and what is on its way between them: whatever the order, neither finds a fault, and both end.
    private struct HonestEnds {
        private enum Word {
            case data(Int)
            case fin(UInt64)
            case credit(UInt64)
        }
        private var ledgers = [StreamLedger(), StreamLedger()]
        /// To each of them.
        private var underWay: [[Word]] = [[], []]

        mutating func act(_ code: UInt8, _ number: Int) {
            let end = Int(code & 1)
            switch code / 2 % 5 {
            case 0:
                let count = min(number % (RecordHeader.maxData + 1), Int(ledgers[end].window))
                guard ledgers[end].outgoing == .open, count > 0 else { return }
                ledgers[end].send(count)
                underWay[1 - end].append(.data(count))
            case 1:
                ledgers[end].applicationEnded()
                sayFin(end)
            case 2: take(end, number)
            default: deliver(end)
            }
        }

        private mutating func sayFin(_ end: Int) {
            guard ledgers[end].outgoing == .finDue else { return }
            ledgers[end].finSent()
            underWay[1 - end].append(.fin(ledgers[end].sent))
        }

        private mutating func take(_ end: Int, _ most: Int) {
            ledgers[end].passOn(min(most, Int(ledgers[end].received - ledgers[end].passedOn)))
            if ledgers[end].isCreditDue {
                ledgers[end].creditSent()
                underWay[1 - end].append(.credit(ledgers[end].credited))
            }
            if ledgers[end].incoming == .ended, ledgers[end].passedOn == ledgers[end].received {
                ledgers[end].passOnEnd()
            }
        }

        private mutating func deliver(_ end: Int) {
            guard !underWay[end].isEmpty else { return }
            do throws(PeerFault) {
                switch underWay[end].removeFirst() {
                case .data(let count): try ledgers[end].receiveShared(count)
                case .fin(let total): try ledgers[end].receiveFin(total)
                case .credit(let total): try ledgers[end].acknowledge(total)
                }
            } catch { must(false, "\(error) between honest ends") }
        }

        mutating func finish() {
            for end in 0..<2 {
                ledgers[end].applicationEnded()
                sayFin(end)
            }
            while underWay.contains(where: { !$0.isEmpty }) {
                for end in 0..<2 {
                    deliver(end)
                    take(end, .max)
                }
            }
            for end in 0..<2 { take(end, .max) }
            must(ledgers.allSatisfy { $0.isDone && $0.hasEnded }, "two honest ends, and no orderly end")
            must(ledgers[0].sent == ledgers[1].received && ledgers[1].sent == ledgers[0].received, "bytes got lost")
        }
    }
}
