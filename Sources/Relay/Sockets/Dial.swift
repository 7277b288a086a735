// Connecting: one attempt per address, in order, under one deadline.
internal import CLinux
internal import Glibc

/// How dialling ended.
enum DialResult {
    /// Connected; the endpoint has no driver yet.
    case connected(Endpoint)
    /// Every address failed; the errno of the last one.
    case failed(Int32)
    /// The deadline passed first.
    case timedOut
}

/// Who wanted a connection.
protocol Dialler: AnyObject {
    /// The dialling is over; `result` is nobody else's.
    func dialled(_ result: DialResult)
}

/// One dialling under way. It tells its dialler exactly once, never from within `start`, unless `cancel` came
/// first; until then it holds on to it, and the shard to the dialling.
final class Dial: LastingDriver, Sleeper {
    var isDueAgain = false
    private let shard: Shard
    private var addresses: ArraySlice<SocketAddress>
    private var dialler: (any Dialler)?
    private var endpoint: Endpoint?
    private var deadline: Timer?
    private var retry: Timer?
    private var lastError: Int32 = EADDRNOTAVAIL

    init(_ addresses: [SocketAddress], on shard: Shard, for dialler: any Dialler) {
        self.shard = shard
        self.addresses = addresses[...]
        self.dialler = dialler
    }

    /// Starts the first attempt; `limit` (nanoseconds) bounds all of them together.
    func start(limit: Nanoseconds) {
        deadline = shard.arm(self, after: limit)
        attempt()
    }

    /// Ends it without a word to the dialler. The kernel may have connected already: a reset, not an
    /// orderly end, tells the other side that this was no empty conversation.
    func cancel() {
        dialler = nil
        endpoint?.reset()
        finish(.failed(ECANCELED))
    }

    func advance() {
        guard let endpoint else {
            // The turn that a failed first attempt asked for.
            if addresses.isEmpty { return finish(.failed(lastError)) }
            return attempt()
        }
        guard endpoint.writable else { return }
        if endpoint.failed {
            endpoint.failed = false
            let error = endpoint.takeError()
            guard error == 0 else { return failedAttempt(error) }
        }
        self.endpoint = nil
        endpoint.driver = nil
        finish(.connected(endpoint))
    }

    func wake(_ timer: Timer, now: Nanoseconds) {
        if timer === retry {
            retry = nil
            attempt()
        } else {
            endpoint?.reset()
            finish(.timedOut)
        }
    }

    private func attempt() {
        guard dialler != nil, endpoint == nil else { return }
        guard let address = addresses.first else { return shard.again(self) }
        guard address.isPermitted else { return failedAttempt(EADDRNOTAVAIL) }
        let fd = ow_stream_socket(address.family)
        guard fd >= 0 else { return failedAttempt(errno) }
        // Connect first, register second: epoll reports HUP on a socket that never began to connect.
        let result = address.withPointer { connect(fd, $0, $1) }
        let error = errno
        if result == 0 || error == EINPROGRESS {
            endpoint = shard.poller.add(fd: fd, driver: self)
            guard let endpoint else { return failedAttempt(ENOMEM) }
            if address.isTCP { endpoint.sendsBeforeTuning = 2 }
        } else if error == EAGAIN {
            // A unix socket whose backlog is full: it has no "in progress", so ask again soon.
            close(fd)
            retry = shard.arm(self, after: 5_000_000)
        } else {
            close(fd)
            failedAttempt(error)
        }
    }

    private func failedAttempt(_ error: Int32) {
        lastError = error
        endpoint?.close()
        endpoint = nil
        addresses = addresses.dropFirst()
        shard.again(self)
    }

    private func finish(_ result: DialResult) {
        deadline?.cancel()
        retry?.cancel()
        endpoint = nil
        deadline = nil
        retry = nil
        let dialler = dialler
        self.dialler = nil
        dialler?.dialled(result)
    }
}
