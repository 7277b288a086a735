// A daemon's life in its process: started, announced, drained by a signal, ended at once by a second one.
import Admin
import ArgumentParser
import CLinux
import Glibc
import Logging
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
    /// Where `log` writes, for what happens to the process and not in the data plane.
    let logger: Logger

    /// Runs the daemon until SIGTERM or SIGINT has drained it, and keeps the calling thread for that. A second one
    /// of them ends the process at once. A daemon that cannot start prints why and throws the exit status.
    func runUntilSignalled() throws(ExitCode) {
        let signals = HeldSignals([SIGTERM, SIGINT, SIGHUP])
        do {
            announceReady(try daemon.start())
        } catch {
            throw failure(exitStatus(error), "\(error)")
        }
        // Parsing arguments and settings, and the runtime's own start, touch more code than a daemon ever
        // uses again: half of its resident memory.
        ow_leave_startup_pages()
        _ = Self.ending(signals, logger)
        notifySystemd("STOPPING=1")
        daemon.drain()
        endAtOnceWhenSignalledAgain(signals)
        daemon.waitUntilStopped()
        log.reportSuppressed()
    }

    /// Waits for a signal that asks for the end and gives its number. SIGHUP is answered and is none.
    private static func ending(_ signals: HeldSignals, _ logger: Logger) -> Int32 {
        while true {
            let number = signals.wait()
            guard number == SIGHUP else { return number }
            logger.warning(
                "SIGHUP changes nothing: the configuration is read at start only (restart the daemon to change it)")
        }
    }

    /// Whoever asks a second time does not want to wait for streams. The kernel resets the connections of
    /// applications and services, and the secrets go with the locked memory they are in.
    private func endAtOnceWhenSignalledAgain(_ signals: HeldSignals) {
        let logger = logger
        startThread("signals") {
            let number = Self.ending(signals, logger)
            logger.warning("\(number == SIGINT ? "SIGINT" : "SIGTERM") again: ended at once, open streams are reset")
            _exit(ExitStatus.signalled(number))
        }
    }

    /// The line that tells that the daemon is ready, for people and for programs that start it, then the same for
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
private struct HeldSignals: Sendable {
    private let set: sigset_t

    /// Holds the signals of these numbers back, for good; one that was ignored so far is no longer.
    init(_ numbers: [Int32]) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in numbers { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        for number in numbers { signal(number, SIG_DFL) }
        self.set = set
    }

    /// Sleeps until one of them comes, takes it, and gives its number. It may have come before.
    func wait() -> Int32 {
        var set = set
        var number: Int32 = 0
        while sigwait(&set, &number) != 0 {}
        return number
    }
}
