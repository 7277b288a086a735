// The demo's application: knows nothing of the tunnel, sends, and checks what comes back.
import Codec
import Settings

/// An application that uses the sample service.
struct DemoApplication {
    private let entry: Address

    /// - Parameter entry: where the service seems to be.
    init(_ entry: Address) {
        self.entry = entry
    }

    /// Sends the bytes over a connection of its own, then closes its half; meanwhile reads them back, and the
    /// service's hash of them. Throws unless both ends have the same bytes.
    func exchange(_ sent: [UInt8]) throws {
        let connection = try LoopbackConnection(to: entry)
        let sending = Job {
            try connection.send(sent)
            connection.finish()
        }
        let answer = try connection.receiveAll(atMost: sent.count + DemoService.hashSize + 1)
        try sending.finish()

        guard answer.count == sent.count + DemoService.hashSize else {
            throw DemoFailure("\(sent.count) bytes were sent and \(answer.count - DemoService.hashSize) came back")
        }
        let hash = SHA256.hash(sent)
        guard hash == [UInt8](answer.suffix(DemoService.hashSize)) else {
            throw DemoFailure("the service received other bytes than were sent: the SHA-256 hashes differ")
        }
        guard hash == SHA256.hash([UInt8](answer.prefix(sent.count))) else {
            throw DemoFailure("other bytes came back than were sent: the SHA-256 hashes differ")
        }
    }
}
