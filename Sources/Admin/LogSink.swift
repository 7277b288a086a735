// Where log lines leave the process: one descriptor, usually standard error.
internal import Glibc
internal import Synchronization

/// Writes whole lines to a descriptor and never makes its caller wait.
///
/// Shards log from the thread that moves everybody's data. A reader of the log that has stopped (a full pipe, a
/// terminal on hold) therefore costs lines, not time. How many is written as soon as it reads again.
package final class LogSink: Sendable {
    /// The most bytes a line may have, PIPE_BUF. Up to this length the kernel never mixes the lines of two writers,
    /// and a pipe that polls writable takes it without blocking (pipe(7)).
    package static let longestLine = 4096

    private let descriptor: Int32
    private let lost = Atomic<Int>(0)

    /// - Parameter descriptor: stays open for as long as the process runs.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// How many lines could not be written and have not been reported yet.
    package var linesLost: Int { lost.load(ordering: .relaxed) }

    /// Writes one line, whose newline is its last byte. `report` makes the line that tells of lost ones.
    package func write(_ line: String, reporting report: (Int) -> String) {
        guard isWritable else {
            lost.add(1, ordering: .relaxed)
            return
        }
        let missed = lost.exchange(0, ordering: .relaxed)
        if missed > 0, !put(report(missed)) { lost.add(missed, ordering: .relaxed) }
        if !put(line) { lost.add(1, ordering: .relaxed) }
    }

    private var isWritable: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLOUT) != 0
    }

    /// One write(2) per line; false when the line, or the end of it, did not get out.
    private func put(_ line: String) -> Bool {
        var bytes = Array(line.utf8)
        if bytes.count > Self.longestLine {
            bytes.removeSubrange((Self.longestLine - 4)...)
            bytes += Array("...\n".utf8)
        }
        return Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }
}
