// Somebody who connects to the server without being a client of it.

import Glibc
import Synchronization

/// One visit of a stranger.
struct Stranger: Sendable {
    enum Then: Sendable { case wait, finish }

    let name: String
    /// What it says, all at once.
    var says: [UInt8] = []
    /// What it does then: says nothing more, or also half-closes.
    var then = Then.wait

    /// Goes there and reports what came back until the server closed, or `.silence` when it did not within `limit`.
    func visit(_ server: Endpoint, limit: Duration = .seconds(20)) throws -> Received {
        let socket = try Socket.connect(to: server, timeout: limit)
        // The server may close while this is being said: what it said until then is what counts.
        try? socket.send(says)
        if then == .finish { try? socket.finish() }
        return socket.received()
    }

    /// What is wrong with how the server met this stranger: it must close, and say nothing before.
    func fault(in received: Received) -> String? {
        if !received.bytes.isEmpty { return "\(name): \(received.bytes.count) bytes came back" }
        if received.end == .silence { return "\(name): the connection stayed open" }
        return nil
    }
}

extension [Stranger] {
    /// Sends them all, `together` at a time; returns the faults.
    func visit(_ server: Endpoint, together: Int = 64) async throws -> [String] {
        let next = Ticket()
        let faults = Inbox<String>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Swift.min(together, count) {
                group.addTask {
                    try await onThread {
                        while let stranger = next.take(from: self) {
                            if let fault = stranger.fault(in: try stranger.visit(server)) { faults.put(fault) }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        return faults.takeAll()
    }
}

/// Hands out the elements of an array to several threads, each once.
final class Ticket: Sendable {
    private let next = Atomic<Int>(0)

    func take<Element>(from elements: [Element]) -> Element? {
        let number = next.add(1, ordering: .relaxed).oldValue
        return number < elements.count ? elements[number] : nil
    }
}
