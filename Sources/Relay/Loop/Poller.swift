// epoll behind one narrow door: sockets in, flags on endpoints out.
internal import CLinux
internal import Glibc

/// A listening socket's place in a poller.
protocol Acceptor: AnyObject {
    /// Connections are waiting.
    func accept()
}

/// The epoll instance of one shard and the table from descriptors to what they belong to.
final class Poller {
    private let epoll: Int32
    /// Endpoints by descriptor, each retained once while it is here: an event finds its endpoint without a
    /// reference being counted.
    private var table: UnsafeMutablePointer<Unmanaged<Endpoint>?> = .allocate(capacity: 0)
    private var tableSize = 0
    private var acceptors: [(fd: Int32, generation: UInt32, acceptor: any Acceptor)] = []
    private var mailboxFD: Int32 = -1
    private var generation: UInt32 = 0
    private let events: UnsafeMutablePointer<epoll_event>
    private static let eventsPerTurn = 256
    /// How many endpoints are registered.
    private(set) var endpoints = 0

    init() throws(RelayError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw .system("epoll_create1", errno) }
        events = .allocate(capacity: Self.eventsPerTurn)
    }

    deinit {
        for fd in 0..<tableSize { table[fd]?.release() }
        table.deallocate()
        events.deallocate()
        close(epoll)
    }

    /// Takes over the non-blocking socket `fd`; nil (and the socket closed) if the kernel refuses it.
    func add(fd: Int32, driver: (any Driver)? = nil) -> Endpoint? {
        generation &+= 1
        let interest = EPOLLIN.rawValue | EPOLLPRI.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue
        guard register(fd, interest | EPOLLET.rawValue) else {
            close(fd)
            return nil
        }
        let endpoint = Endpoint(fd: fd, generation: generation, poller: self)
        endpoint.driver = driver
        put(endpoint)
        endpoints += 1
        return endpoint
    }

    /// Watches a listening socket that several shards share: the kernel wakes one of them.
    func add(listener fd: Int32, _ acceptor: any Acceptor) -> Bool {
        generation &+= 1
        guard register(fd, EPOLLIN.rawValue | EPOLLET.rawValue | EPOLLEXCLUSIVE.rawValue) else { return false }
        acceptors.append((fd, generation, acceptor))
        return true
    }

    func add(mailbox fd: Int32) -> Bool {
        generation &+= 1
        guard register(fd, EPOLLIN.rawValue) else { return false }
        mailboxFD = fd
        return true
    }

    /// Stops watching a listening socket; it stays open for the other shards.
    func remove(listener fd: Int32) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nil)
        acceptors.removeAll { $0.fd == fd }
    }

    /// Stops watching a socket that stays open.
    func release(_ endpoint: Endpoint) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, endpoint.fd, nil)
        remove(endpoint)
    }

    func remove(_ endpoint: Endpoint) {
        // Closing the descriptor takes it out of the epoll set.
        endpoints -= 1
        table[Int(endpoint.fd)]?.release()
        table[Int(endpoint.fd)] = nil
    }

    /// Waits up to `timeout` milliseconds (-1: until something happens). Returns how many events there are for
    /// `dispatch`.
    func wait(timeout: Int32) -> Int {
        max(0, Int(epoll_wait(epoll, events, Int32(Self.eventsPerTurn), timeout)))
    }

    /// Updates the flags that the last `count` events concern, and calls each driver and acceptor. Returns whether
    /// the mailbox has letters.
    func dispatch(_ count: Int) -> Bool {
        var letters = false
        for index in 0..<count {
            let event = events[index]
            let fd = Int32(truncatingIfNeeded: event.data.u64 & 0x7FFF_FFFF)
            let generation = UInt32(truncatingIfNeeded: event.data.u64 >> 32)
            if Int(fd) < tableSize, let endpoint = table[Int(fd)] {
                endpoint._withUnsafeGuaranteedRef { Self.tell($0, event.events, generation) }
            } else if fd == mailboxFD {
                letters = true
            } else if let (_, expected, acceptor) = acceptors.first(where: { $0.fd == fd }), expected == generation {
                acceptor.accept()
            }
        }
        return letters
    }

    /// Sets `endpoint`'s flags and calls its driver. The driver may close the endpoint, which is therefore not
    /// touched behind that call.
    @inline(__always)
    private static func tell(_ endpoint: Endpoint, _ events: UInt32, _ generation: UInt32) {
        // Not an event of a descriptor that was closed and given out again in this very turn.
        guard endpoint.generation == generation else { return }
        note(events, on: endpoint)
        endpoint.driver?.advance()
    }

    private static func note(_ events: UInt32, on endpoint: Endpoint) {
        if events & EPOLLIN.rawValue != 0 { endpoint.readable = true }
        if events & EPOLLOUT.rawValue != 0 { endpoint.writable = true }
        if events & EPOLLPRI.rawValue != 0 {
            endpoint.readable = true
            endpoint.hasMark = true
        }
        if events & EPOLLRDHUP.rawValue != 0 {
            endpoint.readable = true
            endpoint.hungUp = true
        }
        if events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
            endpoint.readable = true
            endpoint.writable = true
            endpoint.hungUp = true
            if events & EPOLLERR.rawValue != 0 { endpoint.failed = true }
        }
    }

    private func register(_ fd: Int32, _ interest: UInt32) -> Bool {
        var event = epoll_event()
        event.events = interest
        event.data.u64 = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: fd))
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0
    }

    private func put(_ endpoint: Endpoint) {
        let index = Int(endpoint.fd)
        if index >= tableSize { growTable(to: max(index + 1, tableSize * 2, 64)) }
        table[index] = .passRetained(endpoint)
    }

    private func growTable(to size: Int) {
        let larger = UnsafeMutablePointer<Unmanaged<Endpoint>?>.allocate(capacity: size)
        larger.moveInitialize(from: table, count: tableSize)
        (larger + tableSize).initialize(repeating: nil, count: size - tableSize)
        table.deallocate()
        table = larger
        tableSize = size
    }
}
