// The demo's service: sends every byte back, and at the end the hash of all it received.
import Codec
import Settings

/// A service on loopback, one thread a connection.
struct DemoService {
    /// Bytes of the SHA-256 hash that follows the echoed bytes.
    static let hashSize = 32

    /// Where it listens.
    let address: Address

    /// Starts the service. It ends with the process.
    init() throws {
        let listener = try LoopbackListener()
        address = listener.address
        listener.acceptForever { connection in
            // A connection that breaks shows at the application's end, as bytes that did not come back.
            try? Self.serve(connection)
        }
    }

    private static func serve(_ connection: LoopbackConnection) throws {
        var received: [UInt8] = []
        while let chunk = try connection.receive() {
            received += chunk
            try connection.send(chunk)
        }
        try connection.send(SHA256.hash(received))
        connection.finish()
    }
}
