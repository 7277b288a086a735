// A socket between two pollers: the only owner of its descriptor while no loop watches it.
internal import Glibc

/// An open socket that no poller watches, and what its last endpoint knew of it. Dropping it closes it.
struct DetachedSocket: ~Copyable {
    private var fd: Int32
    /// What the endpoint knew.
    let known: Endpoint.Known
    /// Dropping it resets the connection.
    private let dropsWithReset: Bool

    /// Takes over `fd`.
    init(_ fd: Int32, _ known: Endpoint.Known, dropsWithReset: Bool) {
        self.fd = fd
        self.known = known
        self.dropsWithReset = dropsWithReset
    }

    deinit {
        guard fd >= 0 else { return }
        if dropsWithReset, !known.resetsByDefault { resetWhenClosed(fd, true) }
        close(fd)
    }

    /// Watches the socket with `poller` from now on; nil, and the socket closed, if the kernel refuses.
    consuming func adopt(on poller: Poller) -> Endpoint? {
        if dropsWithReset, !known.resetsByDefault { resetWhenClosed(fd, true) }
        let taken = fd
        fd = -1
        guard let endpoint = poller.add(fd: taken) else { return nil }
        if dropsWithReset, !known.resetsByDefault { resetWhenClosed(taken, false) }
        endpoint.learn(known)
        return endpoint
    }
}

extension Endpoint {
    /// Leaves the poller with the socket open. `resetting` says how it ends if whoever gets it drops it.
    func detach(resetting: Bool) -> DetachedSocket {
        let (fd, known) = giveUp()
        return DetachedSocket(fd, known, dropsWithReset: resetting)
    }
}
