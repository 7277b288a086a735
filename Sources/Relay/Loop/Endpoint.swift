// One registered socket of a shard: its descriptor and what epoll has said about it. Every call that
// moves bytes on the hot path is here, and nothing else touches the descriptor.
internal import CLinux
internal import Glibc

/// Something that is told when one of its endpoints may be able to go on.
protocol Driver: AnyObject {
    /// `endpoint`'s flags changed, or a turn that was asked for with `Shard.again` has come.
    func advance()
}

/// A driver that may have more to do than a turn allows.
protocol LastingDriver: Driver {
    /// It has asked for another turn, which has not come yet. For `Shard.again` alone.
    var isDueAgain: Bool { get set }
}

/// How a read or write on a non-blocking socket ended.
enum Transfer {
    /// This many bytes, at least one.
    case moved(Int)
    /// The peer has closed its sending side (reads only).
    case ended
    /// Nothing now; epoll will tell.
    case blocked
    /// The connection is broken, with this errno.
    case failed(Int32)
}

/// A non-blocking socket, registered edge-triggered once for all events. Not thread-safe: it belongs
/// to one shard.
final class Endpoint {
    /// -1 once the socket is closed or detached: the number may be somebody else's by then.
    private(set) var fd: Int32
    /// Tells events of this socket from those of an earlier one with the same descriptor.
    let generation: UInt32
    /// There may be something to read.
    var readable = false
    /// There may be room to write.
    var writable = false
    /// The peer sent FIN, or the connection broke: reads must go on until they say so.
    var hungUp = false
    /// Urgent data has come: a read ends in front of its mark, and what lies beyond is not announced again.
    var hasMark = false
    /// epoll reported an error condition. What the kernel received before is still to be read, and the error itself
    /// comes behind that.
    var failed = false
    /// The errno of the first read or write that failed; 0 before. What was received before a write failed can still
    /// be read, but the end behind it is no orderly one: the write took the error away.
    private(set) var brokenBy: Int32 = 0
    /// The kernel ends this connection with a reset whenever it is closed, and so also when the daemon is
    /// killed, unless `close` says that the end is orderly.
    var resetsByDefault = false
    /// The last read filled a whole frame: there may be several, and the next read asks for them at once.
    var isBulk = false
    /// `tuneTCP` is due before this many more sends; 0 if it was done or has nothing to do. The first send of
    /// a connection is never held back by Nagle's rule, and many connections have no second one.
    var sendsBeforeTuning: UInt8 = 0
    /// Whom to tell. Kept strong: closing the endpoint lets go.
    var driver: (any Driver)?
    private(set) var isOpen = true
    /// Outlives its endpoints: it holds them until they are closed, and nobody closes one but its shard.
    private unowned(unsafe) let poller: Poller

    init(fd: Int32, generation: UInt32, poller: Poller) {
        self.fd = fd
        self.generation = generation
        self.poller = poller
    }

    /// Reads into the buffers of `vectors`; `wanted` is their total size.
    func read(_ vectors: UnsafeMutablePointer<iovec>, _ count: Int, wanted: Int) -> Transfer {
        while true {
            let got = readv(fd, vectors, Int32(truncatingIfNeeded: count))
            if got < 0, errno == EINTR { continue }
            return readResult(got, wanted: wanted)
        }
    }

    /// Reads up to `count` bytes to `bytes`.
    func read(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Transfer {
        while true {
            // recv(2) goes to the socket at once, read(2) and readv(2) by way of the file system's layer.
            let got = recv(fd, bytes, count, 0)
            if got < 0, errno == EINTR { continue }
            return readResult(got, wanted: count)
        }
    }

    @inline(__always)
    private func readResult(_ got: Int, wanted: Int) -> Transfer {
        if got > 0 {
            // A short read means drained, unless the end was already announced: then the end itself is
            // still to be read and no further event will say so. In front of a mark it means nothing either.
            if got < wanted && !hungUp && !hasMark { readable = false }
            return .moved(got)
        }
        return readNothing(got)
    }

    @inline(never)
    private func readNothing(_ got: Int) -> Transfer {
        let error = errno
        readable = false
        hasMark = false
        if brokenBy == 0 {
            if got == 0 { return .ended }
            if error == EAGAIN { return .blocked }
            brokenBy = error
        }
        // Whatever a broken connection says, and if it says nothing: there is no more to be had from it.
        return .failed(brokenBy)
    }

    /// A write failed: what came in before is read next, although no event may say so.
    @inline(never)
    private func writeFailed() -> Transfer {
        let error = errno
        writable = false
        guard error != EAGAIN else { return .blocked }
        if brokenBy == 0 { brokenBy = error }
        readable = true
        hungUp = true
        return .failed(error)
    }

    /// Sends `count` bytes from `bytes`; fewer may be taken.
    func send(_ bytes: UnsafeRawPointer, _ count: Int) -> Transfer {
        if sendsBeforeTuning > 0 { comeNearerToTuning() }
        while true {
            let sent = Glibc.send(fd, bytes, count, Int32(MSG_NOSIGNAL))
            if sent >= 0 { return sentResult(sent, wanted: count) }
            if errno == EINTR { continue }
            return writeFailed()
        }
    }

    /// Writes the buffers of `vectors`, `wanted` bytes in all; fewer may be taken.
    func write(_ vectors: UnsafeMutablePointer<iovec>, _ count: Int, wanted: Int) -> Transfer {
        if count == 1 { return send(vectors[0].iov_base, vectors[0].iov_len) }
        if sendsBeforeTuning > 0 { comeNearerToTuning() }
        while true {
            let sent = writev(fd, vectors, Int32(truncatingIfNeeded: count))
            if sent >= 0 { return sentResult(sent, wanted: wanted) }
            if errno == EINTR { continue }
            return writeFailed()
        }
    }

    @inline(never)
    private func comeNearerToTuning() {
        sendsBeforeTuning -= 1
        if sendsBeforeTuning == 0 { tuneTCP(fd) }
    }

    /// Sets the TCP options that were put off, for a connection that lasts.
    func tuneNow() {
        guard sendsBeforeTuning > 0 else { return }
        sendsBeforeTuning = 0
        tuneTCP(fd)
    }

    private func sentResult(_ sent: Int, wanted: Int) -> Transfer {
        if sent < wanted { writable = false }
        return .moved(sent)
    }

    /// The error the kernel holds for this socket, taken; 0 for none.
    func takeError() -> Int32 {
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size)
        if brokenBy == 0 { brokenBy = error }
        return error
    }

    /// Whether the peer has closed the connection or it broke, asked of the kernel now: events say so too, but
    /// perhaps later in this very turn.
    var isGone: Bool {
        var byte: UInt8 = 0
        let result = recv(fd, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return result == 0 || (result < 0 && errno != EAGAIN)
    }

    /// Whether bytes that were written have not even left this host.
    var hasUnsent: Bool { ow_unsent(fd) > 0 }

    /// Bytes that the peer's host has not acknowledged. None for a unix socket, whose peer has what was written.
    var unacknowledged: Int { Int(ow_unacknowledged(fd)) }

    /// What TCP_INFO says of it; nil for a unix socket.
    var silence: ow_tcp_silence? {
        var silence = ow_tcp_silence()
        return ow_read_tcp_silence(fd, &silence) == 0 ? silence : nil
    }

    /// Tells the peer that nothing more will come (FIN); reading goes on.
    func shutdownWrite() { _ = shutdown(fd, Int32(SHUT_WR)) }

    /// Closes the socket in the ordinary way and leaves the poller.
    func close() {
        guard isOpen else { return }
        if resetsByDefault { resetWhenClosed(fd, false) }
        leave()
    }

    /// Closes the socket with a reset, so that the peer cannot take this for an orderly end. (A unix
    /// socket has no reset; its peer sees one only if it had sent bytes nobody read.)
    func reset() {
        guard isOpen else { return }
        if !resetsByDefault { resetWhenClosed(fd, true) }
        leave()
    }

    /// What is known of a socket besides its descriptor.
    struct Known {
        let readable, writable, hungUp, hasMark, failed: Bool
        let brokenBy: Int32
        let resetsByDefault, isBulk: Bool
        let sendsBeforeTuning: UInt8
    }

    /// Knows of the socket what an endpoint before it knew. epoll says by itself what is new since.
    func learn(_ known: Known) {
        readable = known.readable
        writable = known.writable
        hungUp = known.hungUp
        hasMark = known.hasMark
        failed = known.failed
        brokenBy = known.brokenBy
        resetsByDefault = known.resetsByDefault
        isBulk = known.isBulk
        sendsBeforeTuning = known.sendsBeforeTuning
    }

    /// Leaves the poller with the socket open, which is the caller's from now on (DetachedSocket.swift).
    func giveUp() -> (fd: Int32, known: Known) {
        precondition(isOpen, "a closed endpoint has no socket")
        isOpen = false
        driver = nil
        poller.release(self)
        defer { fd = -1 }
        return (
            fd,
            Known(
                readable: readable, writable: writable, hungUp: hungUp, hasMark: hasMark, failed: failed,
                brokenBy: brokenBy,
                resetsByDefault: resetsByDefault, isBulk: isBulk, sendsBeforeTuning: sendsBeforeTuning)
        )
    }

    private func leave() {
        isOpen = false
        driver = nil
        poller.remove(self)
        _ = Glibc.close(fd)
        fd = -1
    }
}
