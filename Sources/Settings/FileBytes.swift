// Reading one bounded file or pipe. The only file of this module that makes system calls for the configuration itself.

internal import Glibc

enum FileBytes {
    /// How long a pipe may stay silent, in milliseconds. Secret managers ask servers before they write.
    static let patience: Int32 = 30_000

    /// The bytes of a file, or of what a pipe, a socket or a terminal gives until its end; at most one more than a
    /// configuration may have.
    static func read(_ path: String, patience: Int32 = patience) throws(SettingsFailure) -> [UInt8] {
        let descriptor = try opened(path)
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "the file cannot be examined", errno) }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFIFO || kind == S_IFSOCK || isatty(descriptor) == 1 else {
            throw failure(path, "this is neither a file nor a pipe", "give the path of a configuration file")
        }
        let limit = SourceText.mostBytes + 1
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            if kind != S_IFREG { try wait(for: descriptor, path, patience) }
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), limit - count)
            }
            if got == 0 { break }
            if got < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw failure(path, "the file cannot be read", errno)
            }
            count += got
        }
        return Array(bytes.prefix(count))
    }

    /// A name of one of this process's descriptors stands for that descriptor: opening it anew would ask for
    /// permissions again, and fails for sockets.
    private static func opened(_ path: String) throws(SettingsFailure) -> Int32 {
        // O_NONBLOCK: opening a named pipe must not wait for whoever writes; `wait` does, with a limit.
        let descriptor =
            if let number = descriptor(namedBy: path) {
                dup(number)
            } else {
                open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
            }
        guard descriptor >= 0 else { throw failure(path, "the file cannot be opened", errno) }
        return descriptor
    }

    /// The number in `/dev/stdin`, `/dev/fd/3` and `/proc/self/fd/3`; nil for any other path.
    private static func descriptor(namedBy path: String) -> Int32? {
        if path == "/dev/stdin" { return STDIN_FILENO }
        for prefix in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(prefix) {
            return Int32(path.dropFirst(prefix.count))
        }
        return nil
    }

    /// Waits until there is something to read, be it the end.
    private static func wait(for descriptor: Int32, _ path: String, _ patience: Int32) throws(SettingsFailure) {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = poll(&entry, 1, patience)
            if ready > 0 { return }
            guard ready == 0 else {
                if errno == EINTR { continue }
                throw failure(path, "the pipe cannot be waited for", errno)
            }
            throw failure(
                path, "nothing came through this pipe for \(Quantity.text(.milliseconds(Int(patience))))",
                "check the program that writes it")
        }
    }

    /// What stands at `path` if it is no socket, in words; nil if there is a socket, or nothing that can be seen.
    static func kind(of path: String, followingLinks: Bool) -> String? {
        var status = stat()
        guard (followingLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFSOCK: nil
        case S_IFDIR: "a directory"
        case S_IFREG: "a file"
        case S_IFLNK: "a symbolic link"
        case S_IFIFO: "a pipe"
        default: "a device"
        }
    }

    /// The directory of a file as an absolute path, from its name alone; of a descriptor, the working directory.
    static func directory(of file: String) -> String {
        guard descriptor(namedBy: file) == nil else { return workingDirectory }
        let absolute = file.hasPrefix("/") ? file : absolutePath(file, in: workingDirectory)
        guard let slash = absolute.lastIndex(of: "/"), slash != absolute.startIndex else { return "/" }
        return String(absolute[..<slash])
    }

    private static var workingDirectory: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    private static func failure(_ path: String, _ what: String, _ code: Int32) -> SettingsFailure {
        let hint =
            switch code {
            case ENOENT, ENOTDIR: "check the path"
            case EACCES, EPERM: "let the user this runs as read it"
            default: "see the system's log"
            }
        return failure(path, "\(what): \(String(cString: strerror(code)))", hint)
    }

    private static func failure(_ path: String, _ what: String, _ hint: String) -> SettingsFailure {
        let findings = Findings(file: path)
        findings.report(nil, what, hint)
        return findings.failure
    }
}
