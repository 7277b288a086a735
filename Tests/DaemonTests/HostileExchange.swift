// The small exchange of the hostile tests: the application sends a request and closes, the service sends
// an answer and closes. Both ends remember exactly what they saw.

import Codec
import Glibc
import Synchronization

/// One request and the answer that belongs to it.
struct SmallExchange: Sendable, Hashable {
    /// Names the exchange at the service: the first bytes of its request.
    static let idSize = 8
    static let size = 24

    let request: [UInt8]
    var answer: [UInt8] { Self.answer(to: request) }
    var id: [UInt8] { Array(request.prefix(Self.idSize)) }

    /// `size` must be what the service expects.
    init(size: Int = Self.size) {
        request = RandomBytes.bytes(size)
    }

    static func answer(to request: [UInt8]) -> [UInt8] { request.reversed() }

    /// The application's side of it, through whatever listens there. Blocks.
    func perform(through endpoint: Endpoint, timeout: Duration = .seconds(20)) throws -> Received {
        let socket = try Socket.connect(to: endpoint, timeout: timeout)
        try? socket.setNoDelay()
        do {
            try socket.send(request)
            try socket.finish()
        } catch let error as SocketError where error.isReset || error.code == ENOTCONN {
            return Received(bytes: [], end: .reset)
        }
        return socket.received()
    }
}

/// The service behind the server daemon: answers small exchanges and remembers who came.
final class SmallService: Sendable {
    private final class Book: Sendable {
        struct Pages {
            var visits: [[UInt8]: [Received]] = [:]
            var fragments: [Received] = []
        }

        let pages = Mutex(Pages())

        func enter(_ received: Received) {
            pages.withLock {
                if received.bytes.count < SmallExchange.idSize {
                    $0.fragments.append(received)
                } else {
                    $0.visits[Array(received.bytes.prefix(SmallExchange.idSize)), default: []].append(received)
                }
            }
        }
    }

    private let book = Book()
    private let service: SampleService

    /// `size` is how long its requests are.
    init(in scene: Scene, on endpoint: Endpoint = .loopback(), size: Int = SmallExchange.size) throws {
        service = try scene.service(on: endpoint) { [book] visitor in
            try? visitor.setNoDelay()
            var got = visitor.receiveToEnd(atMost: size)
            if got.end == .enough {
                // Whichever call meets a reset first takes it: the next one would see an end that looks orderly.
                let sent: Void? = try? visitor.send(SmallExchange.answer(to: got.bytes))
                let rest = sent == nil ? Received(bytes: [], end: .reset) : visitor.received()
                got = Received(bytes: got.bytes + rest.bytes, end: rest.end)
            }
            book.enter(got)
        }
    }

    var endpoint: Endpoint { service.endpoint }

    /// Connections the service ever saw.
    var accepted: Int { service.accepted }

    /// Connections that have not ended.
    var active: Int { service.active }

    /// What arrived in connections that began with this exchange's id.
    func visits(of exchange: SmallExchange) -> [Received] { book.pages.withLock { $0.visits[exchange.id] ?? [] } }

    /// Every connection that brought an exchange's id, and how it ended.
    var visits: [Received] { book.pages.withLock { $0.visits.values.flatMap { $0 } } }

    /// How many connections brought the id of the exchange that came most often.
    var mostVisits: Int { book.pages.withLock { $0.visits.values.map(\.count).max() ?? 0 } }

    /// How many different exchanges, or things that looked like one, arrived.
    var exchangesSeen: Int { book.pages.withLock(\.visits.count) }

    /// What arrived in connections that ended before an id was there.
    var fragments: [Received] { book.pages.withLock(\.fragments) }
}
