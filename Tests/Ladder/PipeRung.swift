// The rung of the carriers: bytes from an application's socket to the far application's, in memory.
import Relay

extension Ladder {
    /// Bytes of the messages that go there and back.
    static let messageSize = 64
    /// Bytes of one operation of a bulk transfer; the cost is then given for each byte.
    private static let bulkSize = 4 << 20

    static func measurePipe(_ table: inout Table) throws {
        let straight = try PipeBench()
        let plainPing = try Stopwatch.cost { count in try straight.roundTrips(count, size: messageSize) }
        table.add(
            Line("pipe", "64 B, two sockets", per: "round trip", plainPing, note: "what the measuring itself costs"))
        let plainBulk = try bulk(straight)
        table.add(Line("pipe", "bulk, two sockets", per: "byte", plainBulk, note: gigabytes(plainBulk)))

        let piped = PipeBench(through: try .fresh())
        let ping = try Stopwatch.cost { count in try piped.roundTrips(count, size: messageSize) }
        table.add(Line("pipe", "64 B, two carriers", per: "round trip", ping, below: "64 B, two sockets"))
        let whole = try bulk(piped)
        table.add(
            Line("pipe", "bulk, two carriers", per: "byte", whole, below: "bulk, two sockets", note: gigabytes(whole)))
    }

    private static func bulk(_ bench: PipeBench) throws -> Cost {
        try Stopwatch.cost { count in for _ in 0..<count { try bench.bulk(bulkSize) } }.divided(by: bulkSize)
    }

    /// Sends `count` messages, half of them each way, through two carriers.
    static func countMessages(_ count: Int) throws {
        let bench = PipeBench(through: try .fresh())
        try bench.roundTrips(8 + count / 2, size: messageSize)
    }
}

/// Nanoseconds a byte are seconds a gigabyte.
func gigabytes(_ cost: Cost) -> String { "\(number(cost.minimum)) CPU s/GB" }

extension Cost {
    /// The cost of a part of the operation.
    func divided(by count: Int) -> Cost { Cost([minimum, median, median].map { $0 / Double(count) }) }
}
