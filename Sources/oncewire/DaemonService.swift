// A daemon's life in its process: started, announced, drained by a signal.
import Admin
import ArgumentParser
import CLinux
import Glibc
import Logging
import Relay
import ServiceLifecycle
import UnixSignals
import Wire

/// One daemon as a service of swift-service-lifecycle.
struct DaemonService: Service {
    /// Which of the two daemons; the raw value is the word of the ready line.
    enum Role: String {
        case server, client
    }

    let role: Role
    let daemon: Daemon
    let log: EventLog

    /// Runs the daemon until SIGTERM or SIGINT has drained it. A daemon that cannot start says why and throws
    /// the exit status.
    func runUntilSignalled(logger: Logger) async throws {
        // What the group says at debug is about itself, not about the daemon.
        var groupLogger = logger
        groupLogger.logLevel = max(logger.logLevel, .notice)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [self], gracefulShutdownSignals: [.sigterm, .sigint], logger: groupLogger))
        do {
            try await group.run()
        } catch let error as RelayError {
            throw failure(exitStatus(error), "\(error)")
        } catch {
            throw failure(ExitStatus.software, "the \(role.rawValue) ended unexpectedly: \(error)")
        }
    }

    func run() async throws {
        let listeners = try daemon.start()
        announceReady(listeners)
        // Parsing arguments and settings, and the runtime's own start, touch more code than a daemon ever
        // uses again: half of its resident memory.
        ow_leave_startup_pages()
        await withGracefulShutdownHandler {
            await daemon.stopped()
        } onGracefulShutdown: {
            notifySystemd("STOPPING=1")
            daemon.drain()
        }
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
        case .cannotListen: ExitStatus.unavailable
        case .system: ExitStatus.system
        }
    }
}
