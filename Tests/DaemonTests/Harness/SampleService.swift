// Services of the tests' own, inside the test process: a thread for the listener and one for every
// connection.

import Foundation
import Glibc
import Synchronization

/// Serves every connection with the same handler. A handler that returns closes its connection in
/// order; one that throws resets it.
final class SampleService: Sendable {
    let endpoint: Endpoint
    private let listener: ListeningSocket
    private let open = Mutex<[ObjectIdentifier: Socket]>([:])
    private let acceptedCount = Atomic<Int>(0)

    /// How many connections have arrived so far.
    var accepted: Int { acceptedCount.load(ordering: .relaxed) }

    /// How many connections are being served now.
    var active: Int { open.withLock { $0.count } }

    init(
        on wanted: Endpoint = .loopback(), timeout: Duration = .seconds(120),
        handler: @escaping @Sendable (Socket) throws -> Void
    ) throws {
        listener = try ListeningSocket(on: wanted)
        endpoint = listener.endpoint
        startThread { [self] in
            while let connection = try? listener.accept(timeout: timeout) {
                acceptedCount.add(1, ordering: .relaxed)
                open.withLock { $0[ObjectIdentifier(connection)] = connection }
                startThread { self.serve(connection, handler) }
            }
        }
    }

    private func serve(_ connection: Socket, _ handler: (Socket) throws -> Void) {
        do {
            try handler(connection)
            connection.close()
        } catch {
            try? connection.reset()
        }
        open.withLock { $0[ObjectIdentifier(connection)] = nil }
    }

    /// Refuses new connections and cuts the ones there are.
    func stop() {
        listener.close()
        for connection in open.withLock({ Array($0.values) }) { connection.interrupt() }
    }
}

extension SampleService {
    /// Sends back what it receives, and closes when the other side has.
    static func echo(on endpoint: Endpoint = .loopback()) throws -> SampleService {
        try SampleService(on: endpoint) { connection in
            try connection.setNoDelayIfTCP(endpoint)
            try withPiece { piece in
                while true {
                    let received = try connection.receive(into: piece)
                    if received == 0 { return }
                    try connection.send(UnsafeRawBufferPointer(rebasing: piece[..<received]))
                }
            }
        }
    }

    /// Greets every connection with `text`, so that one can tell which service answered, and waits for its end.
    static func greeter(_ text: String, on endpoint: Endpoint = .loopback()) throws -> SampleService {
        try SampleService(on: endpoint) { connection in
            try connection.send(text)
            try connection.finish()
            _ = try connection.receiveToEnd()
        }
    }

    /// Receives everything and puts what it was into `inbox` at the orderly end; a connection that is
    /// reset puts nothing.
    static func sink(into inbox: Inbox<Digest>, on endpoint: Endpoint = .loopback()) throws -> SampleService {
        try SampleService(on: endpoint) { connection in
            inbox.put(try connection.digestToEnd())
        }
    }

    /// Waits for the whole request (up to the client's half-close), then sends `count` bytes of the stream
    /// of `seed`.
    static func answering(seed: UInt64, count: Int, requests: Inbox<[UInt8]>) throws -> SampleService {
        try SampleService { connection in
            requests.put(try connection.receiveToEnd())
            try connection.sendPattern(seed: seed, count: count)
        }
    }

    /// Resets every connection after it has received `count` bytes.
    static func resetting(after count: Int) throws -> SampleService {
        try SampleService { connection in
            if count > 0 { _ = try connection.receive(exactly: count) }
            throw SocketError(call: "reset on purpose", code: ECONNRESET)
        }
    }
}

extension Socket {
    /// TCP_NODELAY where there is such a thing.
    func setNoDelayIfTCP(_ endpoint: Endpoint) throws {
        if endpoint.family != AF_UNIX { try setNoDelay() }
    }
}

/// Listens, but its queue is full: the kernel leaves further SYNs unanswered, so that connecting to it
/// hangs.
final class HangingTarget: Sendable {
    let endpoint: Endpoint
    private let listener: ListeningSocket
    private let fillers: [Socket]

    init() throws {
        listener = try ListeningSocket(backlog: 0)
        endpoint = listener.endpoint
        var fillers: [Socket] = []
        // The queue holds a connection or two; the first that is not answered at once shows that it is full.
        while fillers.count < 64 {
            do {
                fillers.append(try Socket.connect(to: listener.endpoint, timeout: .milliseconds(300)))
            } catch let error as SocketError where error.isTimeout {
                break
            }
        }
        self.fillers = fillers
    }

    func stop() {
        listener.close()
        for filler in fillers { filler.close() }
    }
}
