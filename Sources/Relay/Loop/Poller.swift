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
    private enum Slot {
        case free
        case endpoint(Endpoint)
        case acceptor(any Acceptor, generation: UInt32)
        case mailbox
    }

    private let epoll: Int32
    private var slots: [Slot] = []
    /// The endpoints among the slots, by descriptor: an event finds its endpoint here without a reference
    /// being counted. The slot is what holds it.
    private var table: UnsafeMutablePointer<Unmanaged<Endpoint>?> = .allocate(capacity: 0)
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
        table.deallocate()
        events.deallocate()
        close(epoll)
    }

    /// Takes over the non-blocking socket `fd`; nil (and the socket closed) if the kernel refuses it.
    func add(fd: Int32, driver: (any Driver)? = nil) -> Endpoint? {
        generation &+= 1
        let interest = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        guard register(fd, interest) else {
            close(fd)
            return nil
        }
        let endpoint = Endpoint(fd: fd, generation: generation, poller: self)
        endpoint.driver = driver
        set(fd, .endpoint(endpoint))
        endpoints += 1
        return endpoint
    }

    /// Watches a listening socket that several shards share: the kernel wakes one of them.
    func add(listener fd: Int32, _ acceptor: any Acceptor) -> Bool {
        generation &+= 1
        guard register(fd, EPOLLIN.rawValue | EPOLLET.rawValue | EPOLLEXCLUSIVE.rawValue) else { return false }
        set(fd, .acceptor(acceptor, generation: generation))
        return true
    }

    func add(mailbox fd: Int32) -> Bool {
        generation &+= 1
        guard register(fd, EPOLLIN.rawValue) else { return false }
        set(fd, .mailbox)
        return true
    }

    /// Stops watching a listening socket; it stays open for the other shards.
    func remove(listener fd: Int32) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nil)
        set(fd, .free)
    }

    func remove(_ endpoint: Endpoint) {
        // Closing the descriptor takes it out of the epoll set.
        set(endpoint.fd, .free)
        endpoints -= 1
    }

    /// Waits up to `timeout` milliseconds (-1: until something happens), updates flags and calls each
    /// driver and acceptor concerned. Returns whether the mailbox has letters.
    func poll(timeout: Int32, afterWait: () -> Void) -> Bool {
        let count = epoll_wait(epoll, events, Int32(Self.eventsPerTurn), timeout)
        afterWait()
        guard count > 0 else { return false }
        var letters = false
        for index in 0..<Int(count) {
            let event = events[index]
            let fd = Int(truncatingIfNeeded: event.data.u64 & 0xFFFF_FFFF)
            let generation = UInt32(truncatingIfNeeded: event.data.u64 >> 32)
            if let endpoint = table[fd] {
                endpoint._withUnsafeGuaranteedRef { Self.tell($0, event.events, generation) }
                continue
            }
            switch slots[fd] {
            case .endpoint: continue
            case .acceptor(let acceptor, let expected):
                if expected == generation { acceptor.accept() }
            case .mailbox: letters = true
            case .free: continue
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

    private func set(_ fd: Int32, _ slot: Slot) {
        let index = Int(fd)
        if index >= slots.count {
            let before = slots.count
            slots.append(contentsOf: repeatElement(.free, count: max(index + 1 - before, max(before, 64))))
            let larger = UnsafeMutablePointer<Unmanaged<Endpoint>?>.allocate(capacity: slots.count)
            larger.initialize(repeating: nil, count: slots.count)
            larger.update(from: table, count: before)
            table.deallocate()
            table = larger
        }
        slots[index] = slot
        if case .endpoint(let endpoint) = slot {
            table[index] = .passUnretained(endpoint)
        } else {
            table[index] = nil
        }
    }
}
