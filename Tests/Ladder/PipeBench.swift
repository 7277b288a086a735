// A stream from one end to the other in memory: through two carriers, or straight, to know what the sockets at its
// ends cost.
import Codec
import Glibc
import Relay

/// Two connected ends, and what has to turn so that bytes come from one to the other.
final class PipeBench {
    private let carriers: CarrierPair?
    private let near: Int32
    private let far: Int32
    private let chunk: UnsafeMutableRawBufferPointer
    private static let chunkSize = 256 << 10
    /// Turns without progress after which something is broken.
    private static let patience = 10_000

    /// A stream through two carriers.
    init(through carriers: CarrierPair) {
        self.carriers = carriers
        (near, far) = (carriers.application, carriers.target)
        chunk = .allocate(byteCount: Self.chunkSize, alignment: 4096)
        chunk.initializeMemory(as: UInt8.self, repeating: 0x5a)
    }

    /// Two sockets connected to each other.
    init() throws {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw LadderError("socketpair: errno \(errno)") }
        carriers = nil
        (near, far) = (ends[0], ends[1])
        chunk = .allocate(byteCount: Self.chunkSize, alignment: 4096)
        chunk.initializeMemory(as: UInt8.self, repeating: 0x5a)
    }

    deinit {
        chunk.deallocate()
        guard carriers == nil else { return }
        close(near)
        close(far)
    }

    /// Sends `size` bytes to the far end and back again, `count` times: two messages each time.
    func roundTrips(_ count: Int, size: Int) throws {
        for _ in 0..<count {
            try put(size, near)
            carriers?.turnClient(mayWait: true)
            carriers?.turnServer(mayWait: true)
            try take(size, far)
            try put(size, far)
            carriers?.turnServer(mayWait: true)
            carriers?.turnClient(mayWait: true)
            try take(size, near)
        }
    }

    /// Moves `count` bytes to the far end as fast as it takes them.
    func bulk(_ count: Int) throws {
        var (sent, received, idle) = (0, 0, 0)
        while received < count {
            guard idle < Self.patience else { throw LadderError("the stream got stuck after \(received) bytes") }
            idle += 1
            if sent < count { sent += max(0, send(near, chunk.baseAddress, min(chunk.count, count - sent), 0)) }
            carriers?.turnClient(mayWait: false)
            carriers?.turnServer(mayWait: false)
            while true {
                let got = recv(far, chunk.baseAddress, chunk.count, 0)
                guard got > 0 else { break }
                received += got
                idle = 0
            }
        }
    }

    private func put(_ size: Int, _ descriptor: Int32) throws {
        guard send(descriptor, chunk.baseAddress, size, 0) == size else { throw LadderError("a message was not taken") }
    }

    private func take(_ size: Int, _ descriptor: Int32) throws {
        guard recv(descriptor, chunk.baseAddress, size, 0) == size else {
            throw LadderError("a message did not arrive in one turn of each shard")
        }
    }
}

extension CarrierPair {
    /// A pair with keys of its own.
    static func fresh() throws -> CarrierPair {
        let (there, back) = (DirectionInputs(), DirectionInputs())
        let carriers = try CarrierPair(
            client: .sending(there, receiving: back), server: .sending(back, receiving: there))
        // The server learns of the stream.
        for _ in 0..<4 {
            carriers.turnClient(mayWait: false)
            carriers.turnServer(mayWait: false)
        }
        guard carriers.isStreaming else { throw LadderError("two carriers in memory do not get a stream") }
        return carriers
    }
}

extension CarrierKeys {
    static func sending(_ out: DirectionInputs, receiving back: DirectionInputs) -> CarrierKeys {
        CarrierKeys(
            sending: EncoderSource(entropy: out.entropy(), personalization: out.personalization, prefix: out.prefix),
            receiving: DecoderSource(
                entropy: back.entropy(), personalization: back.personalization, prefix: back.prefix))
    }
}
