// The file of a unix socket that listens: whose it is, when it may be taken away, and a lock beside it that tells
// daemons of each other.
internal import CLinux
internal import Glibc

/// The right to one path, from before the socket is bound to it until it is removed. Gives the lock back in deinit.
///
/// While a daemon has it, `PATH.lock` is locked (flock(2)), which ends with the process, however that ends. So two
/// daemons that start at once cannot both find a file stale.
struct SocketFile: ~Copyable {
    private let path: String
    private var lock: Int32
    private var identity: FileIdentity?

    /// Takes the lock, and removes the file of a socket that nobody has any more (left by a killed daemon). Throws
    /// EADDRINUSE where another daemon has the lock; a file that is in the way makes the bind fail.
    init(_ path: String, at target: SocketAddress) throws(SocketError) {
        self.path = path
        lock = try Self.lock("\(path).lock")
        guard let stale = FileIdentity(socketAt: path), Self.isStale(path, stale, target) else { return }
        if FileIdentity(socketAt: path) == stale { unlink(path) }
    }

    deinit { if lock >= 0 { close(lock) } }

    /// The socket was bound: what lies at the path now is this daemon's.
    mutating func isOurs() { identity = FileIdentity(socketAt: path) }

    /// Removes the file if it is still this daemon's, and the lock's file.
    mutating func remove() {
        if let identity, FileIdentity(socketAt: path) == identity { unlink(path) }
        identity = nil
        guard lock >= 0 else { return }
        // While it is locked: who opens the name from now on makes a new file.
        let name = "\(path).lock"
        var info = stat()
        if fstat(lock, &info) == 0, info.st_size == 0, FileIdentity(info) == FileIdentity(at: name) { unlink(name) }
        close(lock)
        lock = -1
    }

    /// A descriptor that holds the lock; -1 where there can be none, and the probing of the socket must do.
    private static func lock(_ name: String) throws(SocketError) -> Int32 {
        while true {
            let fd = ow_open_lock(name)
            guard fd >= 0 else { return -1 }
            var info = stat()
            guard fstat(fd, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
                close(fd)
                return -1
            }
            guard flock(fd, LOCK_EX | LOCK_NB) == 0 else {
                let error = errno
                close(fd)
                if error == EINTR { continue }
                guard error == EWOULDBLOCK else { return -1 }
                throw SocketError(EADDRINUSE)
            }
            // Whoever had it before may have removed the file in the meantime.
            if FileIdentity(info) == FileIdentity(at: name) { return fd }
            close(fd)
        }
    }

    /// Whether nobody has the socket at `path` any more: it refuses, and no process has a socket by this name. One
    /// that is bound and does not listen yet refuses, too.
    private static func isStale(_ path: String, _ identity: FileIdentity, _ target: SocketAddress) -> Bool {
        guard refuses(target), !isBound(path, identity) else { return false }
        // Of a process in another network namespace the kernel does not tell; it has a moment to go on.
        usleep(20_000)
        return refuses(target)
    }

    private static func refuses(_ target: SocketAddress) -> Bool {
        let probe = ow_stream_socket(AF_UNIX)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        return target.withPointer { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
    }

    /// Whether the kernel's list of unix sockets has one that is bound to this file. A relative name in it cannot be
    /// followed, so its last part counts.
    private static func isBound(_ path: String, _ identity: FileIdentity) -> Bool {
        let own = path.utf8.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? []
        for line in procLines("/proc/net/unix") {
            // Num RefCount Protocol Flags Type St Inode Path
            let columns = line.split(separator: UInt8(ascii: " "), maxSplits: 7)
            guard columns.count == 8, let name = columns.last, let first = name.first, first != UInt8(ascii: "@") else {
                continue
            }
            if first == UInt8(ascii: "/") {
                if FileIdentity(socketAt: String(decoding: name, as: UTF8.self)) == identity { return true }
            } else if name.split(separator: UInt8(ascii: "/")).last.map(Array.init) == own {
                return true
            }
        }
        return false
    }

    private static func procLines(_ name: String) -> [ArraySlice<UInt8>] {
        let fd = ow_open_reading(name)
        guard fd >= 0 else { return [] }
        defer { close(fd) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(fd, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes.split(separator: UInt8(ascii: "\n"))
    }
}

/// Which file a name leads to: two names of one file are equal, a new file under an old name is not.
private struct FileIdentity: Equatable {
    private let device: UInt64
    private let inode: UInt64

    init(_ info: stat) {
        device = UInt64(info.st_dev)
        inode = UInt64(info.st_ino)
    }

    /// Nil if there is nothing. A symbolic link counts as itself.
    init?(at path: String) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return nil }
        self.init(info)
    }

    /// Nil if there is no socket.
    init?(socketAt path: String) {
        var info = stat()
        guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFSOCK else { return nil }
        self.init(info)
    }
}
