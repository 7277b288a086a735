// Reading one bounded file. The only file of this module that makes system calls for the configuration itself.

internal import Glibc

enum FileBytes {
    /// The bytes of a regular file, at most one more than a configuration may have.
    static func read(_ path: String) throws(SettingsFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)  // a FIFO must not block here
        guard descriptor >= 0 else { throw failure(path, "the file cannot be opened", errno) }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "the file cannot be examined", errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw failure(path, "this is not a regular file", "give the path of a configuration file")
        }
        let limit = SourceText.mostBytes + 1
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), limit - count)
            }
            if got == 0 { break }
            if got < 0 {
                if errno == EINTR { continue }
                throw failure(path, "the file cannot be read", errno)
            }
            count += got
        }
        return Array(bytes.prefix(count))
    }

    /// The directory of a file as an absolute path, from its name alone.
    static func directory(of file: String) -> String {
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
