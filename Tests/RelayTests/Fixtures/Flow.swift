// Bytes on their way from one end of a tunnel to the other, in pieces of random size.
import Testing

@testable import Relay

/// One direction of a stream as its two applications drive it.
final class Flow {
    let bytes: [UInt8]
    private(set) var received: [UInt8] = []
    /// How the reader's side ended; nil while it goes on.
    private(set) var ending: TestSocket.Reading?
    private let source: TestSocket
    private let sink: TestSocket
    private let largest: Int
    private var generator: SeededGenerator
    private var sent = 0
    private var hasClosed = false

    /// Sends `count` seeded bytes in pieces of 1...`largest` bytes, then closes its side.
    init(_ count: Int, from source: TestSocket, to sink: TestSocket, largest: Int, seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        bytes = generator.bytes(count)
        self.source = source
        self.sink = sink
        self.largest = largest
        received.reserveCapacity(count)
    }

    /// Writes one piece and reads one.
    func step() {
        if sent < bytes.count {
            let piece = Int.random(in: 1...largest, using: &generator)
            sent += source.write(bytes[sent..<min(sent + piece, bytes.count)])
        } else if !hasClosed {
            source.shutdownWrite()
            hasClosed = true
        }
        guard ending == nil else { return }
        switch sink.read(Int.random(in: 1...largest, using: &generator)) {
        case .bytes(let more): received += more
        case .nothingYet: break
        case let end: ending = end
        }
    }

    /// Everything arrived, in order, and then an orderly end.
    var isComplete: Bool { ending == .ended && received == bytes }
}

extension Tunnel {
    /// Drives `flows` until all of them have ended.
    func run(_ flows: Flow..., sourceLocation: SourceLocation = #_sourceLocation) {
        let ended = turn {
            for flow in flows { flow.step() }
            return flows.allSatisfy { $0.ending != nil }
        }
        #expect(ended, "stuck", sourceLocation: sourceLocation)
        for flow in flows {
            #expect(flow.received.count == flow.bytes.count, sourceLocation: sourceLocation)
            #expect(flow.isComplete, sourceLocation: sourceLocation)
        }
    }
}
