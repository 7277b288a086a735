// A daemon's life in its process: started, announced, drained by a signal.
import Admin
import ArgumentParser
import CLinux
import Glibc
import Relay
import Wire

/// One daemon as what its process is there for.
struct DaemonService {
    /// Which of the two daemons; the raw value is the word of the ready line.
    enum Role: String {
        case server, client
    }

    let role: Role
    let daemon: Daemon
    let log: EventLog

    /// Runs the daemon until SIGTERM or SIGINT has drained it, and keeps the calling thread for that. A daemon that
    /// cannot start says why and throws the exit status.
    func runUntilSignalled() throws(ExitCode) {
        let endings = HeldSignals([SIGTERM, SIGINT])
        do {
            announceReady(try daemon.start())
        } catch {
            throw failure(exitStatus(error), "\(error)")
        }
        // Parsing arguments and settings, and the runtime's own start, touch more code than a daemon ever
        // uses again: half of its resident memory.
        ow_leave_startup_pages()
        endings.wait()
        notifySystemd("STOPPING=1")
        daemon.drain()
        daemon.waitUntilStopped()
        log.reportSuppressed()
    }

    /// The line that says the daemon is ready, for people and for programs that start it, then the same for
    /// systemd.
    private func announceReady(_ listeners: [BoundListener]) {
        let places = listeners.map { listener in
            switch listener.service {
            case .some(let service): "\(service.text) on \(listener.address)"
            case .none: "\(listener.address)"
            }
        }
        let verb = role == .server ? "listening on " : ""
        writeAll("oncewire \(role.rawValue) ready: \(verb)\(places.joined(separator: ", "))\n", to: STDOUT_FILENO)
        notifySystemd("READY=1")
    }

    private func exitStatus(_ error: RelayError) -> ExitCode {
        switch error {
        case .cannotListen, .cannotListenAnywhere, .unknownName: ExitStatus.unavailable
        case .system: ExitStatus.system
        }
    }
}

/// Signals that no longer do anything by themselves and wait to be taken. Threads that exist already are not
/// concerned; those started from here on by `startThread` take no signals at all.
private struct HeldSignals {
    private let set: sigset_t

    /// Holds the signals of these numbers back, for good.
    init(_ numbers: [Int32]) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in numbers { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        self.set = set
    }

    /// Sleeps until one of them comes, and takes it. It may have come before.
    func wait() {
        var set = set
        var number: Int32 = 0
        while sigwait(&set, &number) != 0 {}
    }
}
