// The demo's steps: service, server, eavesdropper, client; then applications that use them.
import Codec
import Pairing
import Relay
import Settings
import Wire

/// One run of the demo.
struct DemoRun {
    /// What the application of the first connection sends, short enough to be shown whole.
    static let greeting = "To the service alone: the vault opens at noon."
    /// Connections after the first, all at once.
    static let connections = 8
    /// Bytes that each of them sends, and gets back: 64 MiB over all connections and both ways.
    static let bytesEach = 4 << 20

    let diary: DemoDiary

    /// Runs the demo and gives back the screen that tells of it. Throws if anything did not arrive as sent.
    func report() throws -> String {
        diary.step = "starting the daemons"
        let tunnel = try DemoTunnel(diary: diary)

        diary.step = "pairing and sending the first bytes"
        try DemoApplication(tunnel.entry).exchange([UInt8](Self.greeting.utf8))
        let capture = try seen(tunnel.tap)

        diary.step = "sending over \(Self.connections) connections at once"
        let elapsed = try ContinuousClock().measure { try exchangeAtOnce(through: tunnel.entry) }

        diary.step = "stopping the daemons"
        let counters = tunnel.stop()
        guard let pairing = diary.pairing else { throw DemoFailure("data arrived, but no pairing was reported") }
        return DemoReport(pairing: pairing, counters: counters, elapsed: elapsed, capture: capture).text
    }

    private func exchangeAtOnce(through entry: Address) throws {
        let jobs = (0..<Self.connections).map { _ in
            Job { try DemoApplication(entry).exchange(RandomBytes.bytes(Self.bytesEach)) }
        }
        for job in jobs { try job.finish() }
    }

    private func seen(_ tap: DemoTap) throws -> DemoCapture {
        guard let capture = tap.capture else { throw DemoFailure("the eavesdropper saw no frame of a stream") }
        guard !capture.bytes.contains(subsequence: Self.greeting.utf8) else {
            throw DemoFailure("the eavesdropper could read what the application sent")
        }
        return capture
    }
}

extension [UInt8] {
    /// Whether the bytes of `other` stand in this array one after the other.
    fileprivate func contains(subsequence other: some Collection<UInt8>) -> Bool {
        guard count >= other.count else { return false }
        return (0...count - other.count).contains { self[$0...].starts(with: other) }
    }
}
