// The rung of the daemons: the same bytes through two processes and TCP, with and without encryption.
import Glibc

extension Ladder {
    static func measureRelay(_ table: inout Table, plaintext: String?) throws {
        let service = try LoopbackService()
        let bare = ("64 B, daemons, no encryption", "bulk, daemons, no encryption")
        if let plaintext {
            // It stands on the sockets alone: the carriers of the rung before encrypt.
            let bench = try RelayBench(plaintext, encrypts: false, to: service)
            try measureRelay(&table, bench, bare, below: nil)
        }
        let bench = try RelayBench(try siblingOncewire(), encrypts: true, to: service)
        try measureRelay(&table, bench, ("64 B, daemons", "bulk, daemons"), below: plaintext == nil ? nil : bare)
    }

    private static func measureRelay(
        _ table: inout Table, _ bench: RelayBench, _ names: (String, String), below: (String, String)?
    ) throws {
        let ping = try bench.roundTrips(size: messageSize, batches: 21, count: 1000)
        table.add(Line("relay", names.0, per: "round trip", ping, below: below?.0, note: "CPU of both daemons"))
        let (bulk, speed) = try bench.bulk(128 << 20, batches: 9)
        let note = "\(gigabytes(bulk)), \(number(speed)) GB/s"
        table.add(Line("relay", names.1, per: "byte", bulk, below: below?.1, note: note))
    }

    /// The `oncewire` of the build that this program comes from.
    private static func siblingOncewire() throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw LadderError("readlink: errno \(errno)") }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/oncewire"
    }
}
