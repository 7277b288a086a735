// One question for a name's addresses: it waits on its loop while a thread looks the name up.

/// What somebody who asked for a name's addresses is told.
enum ResolverAnswer {
    /// At least one address.
    case found([SocketAddress])
    /// The name has none, or nobody could tell: the C library's words.
    case failed(String)
    /// The time of whoever asked is over.
    case timedOut
}

/// Somebody on a loop who waits for a name. The timer holds it until it has its answer.
final class Question: Sleeper {
    /// What goes to the thread that looks the name up.
    typealias Errand = Relay.Errand<Question, ResolverAnswer>

    private let port: UInt16
    private var completion: ((ResolverAnswer) -> Void)?
    private var forget: (() -> Void)?
    private var stale: [SocketAddress]?
    private var timer: Timer?

    /// How long a fresh answer is waited for where an old one could be used.
    static let grace: Nanoseconds = 250_000_000

    init(_ port: UInt16, _ completion: @escaping (ResolverAnswer) -> Void) {
        self.port = port
        self.completion = completion
    }

    /// Waits for `answer`, a moment only if there is something `stale` to go on with; then it calls `forget`.
    func wait(for stale: [SocketAddress]?, limit: Nanoseconds, on shard: Shard, forget: @escaping () -> Void) {
        self.stale = stale
        self.forget = forget
        timer = shard.arm(self, after: stale == nil ? limit : min(Self.grace, limit / 4))
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        forget?()
        answer(stale.map { .found($0) } ?? .timedOut)
    }

    /// The name's addresses, whose port is not this question's yet.
    func answer(_ answer: ResolverAnswer) {
        timer?.cancel()
        timer = nil
        forget = nil
        let completion = completion
        self.completion = nil
        completion?(answer.with(port: port))
    }
}

extension ResolverAnswer {
    func with(port: UInt16) -> ResolverAnswer {
        guard case .found(let addresses) = self else { return self }
        return .found(addresses.map { $0.with(port: port) })
    }
}
