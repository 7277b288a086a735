// What the daemon asks of the kernel for its TCP connections.
internal import CLinux
internal import Glibc

/// What every TCP connection of the daemon gets; an accepted socket has it from its listener. `staysHere` is
/// whether the other end is on this host.
///
/// TCP_USER_TIMEOUT is not set: it would end a connection whose peer is alive but does not read.
func tuneTCP(_ fd: Int32, staysHere: @autoclosure () -> Bool) {
    // No delay of small writes, and keep-alive so that a host that vanished is noticed in the end.
    set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
    set(fd, Int32(IPPROTO_TCP), TCP_KEEPIDLE, KeepAlive.idle)
    set(fd, Int32(IPPROTO_TCP), TCP_KEEPINTVL, KeepAlive.interval)
    set(fd, Int32(IPPROTO_TCP), TCP_KEEPCNT, KeepAlive.probes)
    // Pacing runs a timer for every burst, and there is no path here that it could spare. Reno is in every
    // kernel and open to every user.
    if hostPaces, staysHere() { _ = setsockopt(fd, Int32(IPPROTO_TCP), TCP_CONGESTION, "reno", 4) }
}

/// When the kernel looks after a peer that says nothing: the kernel's own two hours leave sessions, locks and
/// licences at a service taken by a host that lost its power. A host that is gone is noticed after four minutes.
enum KeepAlive {
    /// Silence before the first probe, seconds.
    static let idle: Int32 = 120
    /// From one probe to the next, seconds.
    static let interval: Int32 = 30
    /// Unanswered probes that end the connection.
    static let probes: Int32 = 4
}

/// Leaves urgent data (TCP's urgent pointer, MSG_OOB of a unix socket) in its place among the other bytes: the
/// kernel would take the byte out and keep it for a call that nobody makes. TCP's accepted sockets have it from
/// their listener.
func keepUrgentDataInline(_ fd: Int32) { set(fd, SOL_SOCKET, SO_OOBINLINE, 1) }

/// The same as `tuneTCP(_:staysHere:)` for a socket that is connected.
func tuneTCP(_ fd: Int32) { tuneTCP(fd, staysHere: peerIsHere(fd)) }

/// Whether new connections of this host are paced: its default congestion control is BBR.
private let hostPaces: Bool = {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard probe >= 0 else { return false }
    defer { close(probe) }
    var name = [UInt8](repeating: 0, count: 16)  // TCP_CA_NAME_MAX
    var length = socklen_t(name.count)
    guard getsockopt(probe, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, &length) == 0 else { return false }
    return name.starts(with: "bbr".utf8)
}()

private func peerIsHere(_ fd: Int32) -> Bool { SocketAddress(of: fd, getpeername)?.isLocal == true }

private func set(_ fd: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(fd, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}
