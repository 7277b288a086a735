// The account of a stream: arbitrary sequences of calls against a simple model, and two ends against each other.
import Testing
import Wire

@testable import Relay

@Suite("Stream ledger")
struct StreamLedgerTests {
    private static let window = Int(RecordHeader.window)

    @Test("A stream is done when both directions have ended, in whatever order")
    func done() throws {
        for outgoingFirst in [true, false] {
            var ledger = StreamLedger()
            func endOutgoing() {
                ledger.applicationEnded()
                #expect(ledger.outgoing == .finDue && !ledger.hasSentFin)
                ledger.finSent()
            }
            if outgoingFirst { endOutgoing() }
            ledger.receive(3)
            try ledger.receiveFin(3)
            #expect(ledger.hasEnded == outgoingFirst && !ledger.isDone)
            ledger.passOnEnd()
            #expect(ledger.isDone == outgoingFirst)
            if !outgoingFirst { endOutgoing() }
            #expect(ledger.isDone && ledger.hasEnded)
        }
    }

    @Test("FIN is believed only with the total that came, and once")
    func fin() throws {
        var ledger = StreamLedger()
        try ledger.receiveShared(5)
        for wrong in [UInt64(0), 4, 6, .max] {
            #expect(throws: PeerFault.total(said: wrong, came: 5)) { try ledger.receiveFin(wrong) }
            #expect(!ledger.hasFin)
        }
        try ledger.receiveFin(5)
        #expect(throws: PeerFault.total(said: 5, came: 5)) { try ledger.receiveFin(5) }
        #expect(throws: PeerFault.dataAfterFin) { try ledger.receiveShared(1) }
        #expect(ledger.received == 5)
    }

    @Test("No more than a window comes before the peer hears that some was passed on")
    func windows() throws {
        var ledger = StreamLedger()
        try ledger.receiveShared(Self.window)
        var full = ledger
        #expect(throws: PeerFault.beyondWindow) { try full.receiveShared(1) }
        ledger.passOn(Self.window / 2 - 1)
        #expect(!ledger.isCreditDue)
        ledger.passOn(1)
        #expect(ledger.isCreditDue)
        ledger.creditSent()
        #expect(!ledger.isCreditDue)
        try ledger.receiveShared(Self.window / 2)
        #expect(throws: PeerFault.beyondWindow) { try ledger.receiveShared(1) }
    }

    @Test("After FIN no credit is due: nothing more will be sent")
    func noCreditAfterFin() throws {
        var ledger = StreamLedger()
        try ledger.receiveShared(Self.window)
        try ledger.receiveFin(UInt64(Self.window))
        ledger.passOn(Self.window)
        #expect(!ledger.isCreditDue)
    }

    @Test("CREDIT must bring something, and no more than was sent")
    func credit() throws {
        var ledger = StreamLedger()
        ledger.send(100)
        #expect(ledger.window == UInt64(Self.window - 100))
        for wrong in [UInt64(0), 101, .max] {
            #expect(throws: PeerFault.credit(said: wrong, sent: 100, known: 0)) { try ledger.acknowledge(wrong) }
        }
        try ledger.acknowledge(60)
        #expect(ledger.window == UInt64(Self.window - 40))
        #expect(throws: PeerFault.credit(said: 60, sent: 100, known: 60)) { try ledger.acknowledge(60) }
    }

    @Test("What moves to a carrier of its own goes on with the same account", arguments: [true, false], [true, false])
    func moving(sentFin: Bool, passedOnEnd: Bool) throws {
        var before = StreamLedger()
        before.send(70)
        try before.receiveShared(50)
        if sentFin {
            before.applicationEnded()
            before.finSent()
        }
        try before.receiveFin(50)
        if passedOnEnd { before.passOnEnd() }
        let after = StreamLedger(
            sent: before.progress, received: StreamProgress(total: 50, hasEnded: true), isEndPassedOn: passedOnEnd)
        #expect(after.sent == 70 && after.received == 50)
        #expect(after.outgoing == before.outgoing && after.incoming == before.incoming)
    }

    @Test("Two ends that follow the rules never fault each other, and agree at the end", arguments: 0..<200)
    func twoEnds(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var ends = [StreamLedger(), StreamLedger()]
        // What is on its way to each end, in order.
        enum Record {
            case data(Int)
            case fin(UInt64)
            case credit(UInt64)
        }
        var ways: [[Record]] = [[], []]
        var waiting = [0, 0]
        for _ in 0..<2000 {
            let end = Int.random(in: 0...1, using: &generator)
            let other = 1 - end
            switch Int.random(in: 0..<8, using: &generator) {
            case 0, 1, 2:
                let count = min(Int.random(in: 1...RecordHeader.maxData, using: &generator), Int(ends[end].window))
                guard count > 0, ends[end].outgoing == .open else { continue }
                ends[end].send(count)
                ways[other].append(.data(count))
            case 3 where Int.random(in: 0..<20, using: &generator) == 0:
                guard ends[end].outgoing == .open else { continue }
                ends[end].applicationEnded()
                ends[end].finSent()
                ways[other].append(.fin(ends[end].sent))
            case 4:
                let count = Int.random(in: 0...waiting[end], using: &generator)
                waiting[end] -= count
                ends[end].passOn(count)
                if ends[end].isCreditDue {
                    ways[other].append(.credit(ends[end].passedOn))
                    ends[end].creditSent()
                }
            default:
                guard !ways[end].isEmpty else { continue }
                switch ways[end].removeFirst() {
                case .data(let count):
                    try ends[end].receiveShared(count)
                    waiting[end] += count
                case .fin(let total): try ends[end].receiveFin(total)
                case .credit(let total): try ends[end].acknowledge(total)
                }
            }
            #expect(ends[end].sent &- ends[end].acknowledged <= RecordHeader.window)
            #expect(ends[end].passedOn <= ends[end].received && ends[end].credited <= ends[end].passedOn)
        }
        for end in 0...1 {
            let underWay = ways[end].reduce(UInt64(0)) { sum, record in
                if case .data(let count) = record { sum + UInt64(count) } else { sum }
            }
            #expect(ends[1 - end].sent == ends[end].received + underWay)
        }
    }
}
