// How a command reports that it cannot do its work.
import ArgumentParser
import Glibc

/// Exit statuses of sysexits(3), which scripts and systemd units can tell apart.
enum ExitStatus {
    /// A key file that is not one.
    static let malformedInput = ExitCode(EX_DATAERR)
    /// A key file that does not exist or may not be read.
    static let noInput = ExitCode(EX_NOINPUT)
    /// An address that cannot be listened on.
    static let unavailable = ExitCode(EX_UNAVAILABLE)
    /// Something that must not happen.
    static let software = ExitCode(EX_SOFTWARE)
    /// A system call that failed for lack of a resource.
    static let system = ExitCode(EX_OSERR)
    /// A key file that cannot be made.
    static let cannotCreate = ExitCode(EX_CANTCREAT)
    /// A configuration that cannot be used.
    static let badConfiguration = ExitCode(EX_CONFIG)

    /// What shells show for a process that a signal of this number ended: 130 for SIGINT, 143 for SIGTERM.
    static func signalled(_ number: Int32) -> Int32 { 128 + number }
}

/// Says on standard error what went wrong and gives back the status to throw.
func failure(_ status: ExitCode, _ message: String) -> ExitCode {
    writeAll("oncewire: \(message)\n", to: STDERR_FILENO)
    return status
}

/// Writes the text to a descriptor at once, with no buffer in between. Errors are not reported: there is
/// nowhere to report them to.
func writeAll(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno != EINTR { return }
        bytes.removeFirst(max(count, 0))
    }
}
