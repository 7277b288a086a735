// Connecting (RFC 8305): one attempt after the other, each beside those before it, under one deadline. The first
// that connects is taken, so that an address whose packets vanish holds nobody up.
internal import CLinux
internal import Glibc

/// How dialling ended.
enum DialResult {
    /// Connected; the endpoint has no driver yet.
    case connected(Endpoint)
    /// Every address failed; the errno that tells most.
    case failed(Int32)
    /// The deadline passed first.
    case timedOut
}

/// An address that could not be connected to, and why.
struct DialFailure {
    let address: SocketAddress
    let error: Int32
}

/// Who wanted a connection.
protocol Dialler: AnyObject {
    /// The dialling is over; `result` is nobody else's.
    func dialled(_ result: DialResult)
}

/// One dialling under way. It tells its dialler exactly once, never from within `start`, unless `cancel` came
/// first; until then it holds on to it, and the shard to the dialling.
final class Dial: LastingDriver, Sleeper {
    private struct Attempt {
        let address: SocketAddress
        let endpoint: Endpoint
    }

    var isDueAgain = false
    /// What went wrong so far.
    private(set) var failures: [DialFailure] = []
    private let shard: Shard
    /// All that it may try.
    let addresses: [SocketAddress]
    private let hasChoice: Bool
    private var untried: ArraySlice<SocketAddress>
    private var attempts: [Attempt] = []
    private var dialler: (any Dialler)?
    private var deadline: Timer?
    /// Until the next attempt begins beside those under way.
    private var pace: Timer?
    private var retry: Timer?
    /// The next address is due in this dialling's next turn.
    private var isNextDue = false

    /// How long an attempt has the field to itself (RFC 8305 §5, "Connection Attempt Delay"); less where the limit would
    /// not let every address have its turn.
    private var delay: Nanoseconds = 250_000_000

    /// The order of `addresses` is the resolver's; the families take turns, and what worked last goes first.
    init(_ addresses: [SocketAddress], on shard: Shard, for dialler: any Dialler) {
        self.shard = shard
        self.dialler = dialler
        self.addresses = addresses
        hasChoice = addresses.count > 1
        untried = (hasChoice ? AddressMemory.order(addresses, at: shard.now) : addresses)[...]
    }

    /// Starts the first attempt; `limit` (nanoseconds) bounds all of them together.
    func start(limit: Nanoseconds) {
        deadline = shard.arm(self, after: limit)
        delay = min(delay, limit / Nanoseconds(untried.count + 1))
        attemptNext()
    }

    /// Ends it without a word to the dialler. The kernel may have connected already: a reset, not an
    /// orderly end, tells the other side that this was no empty conversation.
    func cancel() {
        dialler = nil
        finish(.failed(ECANCELED))
    }

    /// For logs: every address that failed and why.
    var account: String {
        failures.map { "\($0.address.text): \(errorText($0.error))" }.joined(separator: ", ")
    }

    func advance() {
        guard dialler != nil else { return }
        for attempt in attempts where attempt.endpoint.writable && settle(attempt) { return }
        guard isNextDue else { return }
        isNextDue = false
        if !untried.isEmpty {
            attemptNext()
        } else if attempts.isEmpty, retry == nil {
            finish(.failed(tellingError))
        }
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === retry {
            retry = nil
            attemptNext()
        } else if timer === pace {
            pace = nil
            attemptNext()
        } else {
            finish(.timedOut)
        }
    }

    /// Starts with the next address, and says when the one after it may start if nothing has happened by then.
    private func attemptNext() {
        pace?.cancel()
        pace = nil
        guard dialler != nil else { return }
        guard let address = untried.popFirst() else { return }
        attempt(address)
        if !untried.isEmpty, !isNextDue, retry == nil { pace = shard.arm(self, after: delay) }
    }

    private func attempt(_ address: SocketAddress) {
        guard address.isPermitted else { return fail(DialFailure(address: address, error: EADDRNOTAVAIL)) }
        let fd = ow_stream_socket(address.family)
        guard fd >= 0 else { return fail(DialFailure(address: address, error: errno)) }
        // Before the first byte can come.
        keepUrgentDataInline(fd)
        // Connect first, register second: epoll reports HUP on a socket that never began to connect.
        let result = address.withPointer { connect(fd, $0, $1) }
        let error = errno
        if result == 0 || error == EINPROGRESS {
            guard let endpoint = shard.poller.add(fd: fd, driver: self) else {
                return fail(DialFailure(address: address, error: ENOMEM))
            }
            if address.isTCP { endpoint.sendsBeforeTuning = 2 }
            attempts.append(Attempt(address: address, endpoint: endpoint))
        } else if error == EAGAIN, !address.isTCP {
            // A unix socket whose backlog is full: it has no "in progress", so ask again soon.
            close(fd)
            untried.insert(address, at: untried.startIndex)
            retry = shard.arm(self, after: 5_000_000)
        } else {
            close(fd)
            fail(DialFailure(address: address, error: error))
        }
    }

    /// The kernel has news of `attempt`. True if the dialling is over.
    private func settle(_ attempt: Attempt) -> Bool {
        let endpoint = attempt.endpoint
        if endpoint.failed {
            endpoint.failed = false
            let error = endpoint.takeError()
            if error != 0 {
                drop(attempt, error)
                return false
            }
        }
        // Nobody listens there, but the kernel gave this very socket the port that it was to connect to, and two ends
        // that call each other are connected (RFC 9293 §3.5). It holds the service's port and answers with echoes.
        if isConnectedToItself(endpoint.fd, by: attempt.address) {
            drop(attempt, ECONNREFUSED)
            return false
        }
        attempts.removeAll { $0.endpoint === endpoint }
        endpoint.driver = nil
        if hasChoice { AddressMemory.worked(attempt.address, at: shard.now) }
        finish(.connected(endpoint))
        return true
    }

    private func drop(_ attempt: Attempt, _ error: Int32) {
        attempts.removeAll { $0.endpoint === attempt.endpoint }
        attempt.endpoint.reset()
        fail(DialFailure(address: attempt.address, error: error))
    }

    /// The next address is tried at once, but not from within `start`.
    private func fail(_ failure: DialFailure) {
        failures.append(failure)
        isNextDue = true
        shard.again(self)
    }

    /// A lack of resources here says more than anything about an address, and a refusal more than a missing route.
    private var tellingError: Int32 {
        let errors = failures.map(\.error)
        for telling in [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNREFUSED] where errors.contains(telling) { return telling }
        return errors.last ?? EADDRNOTAVAIL
    }

    private func finish(_ result: DialResult) {
        for timer in [deadline, pace, retry] { timer?.cancel() }
        deadline = nil
        pace = nil
        retry = nil
        untried = []
        for attempt in attempts { attempt.endpoint.reset() }
        attempts = []
        let dialler = dialler
        self.dialler = nil
        dialler?.dialled(result)
    }
}

/// Whether both ends of the connection to `target` are this one socket.
private func isConnectedToItself(_ fd: Int32, by target: SocketAddress) -> Bool {
    guard let port = target.port, let here = SocketAddress(of: fd, getsockname), here.port == port else { return false }
    return SocketAddress(of: fd, getpeername) == here
}
