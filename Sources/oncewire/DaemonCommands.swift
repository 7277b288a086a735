// oncewire server, oncewire client: a configuration file becomes a running daemon.
import Admin
import ArgumentParser
import Logging
import Relay
import Settings

struct ServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Run the daemon next to the services.",
        discussion: """
            Prints one line on standard output when it is ready and tells systemd, if there is one. Logs go to \
            standard error. SIGTERM or SIGINT lets open streams end (the setting `drain` says how long), then it \
            exits with 0; a second one ends it at once.

            Example:
              oncewire server --config /etc/oncewire/server.yaml
            """)

    @OptionGroup var options: DaemonOptions

    func run() throws {
        let (settings, warnings) = try options.load(SettingsFile.loadServer)
        try serve(role: .server, logLevel: settings.common.logLevel, warnings) { events in
            Daemon(server: settings, events: events)
        }
    }
}

struct ClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Run the daemon next to the applications.",
        discussion: """
            Prints one line on standard output when it listens for applications; the server need not be there \
            yet, the client keeps trying. Logs go to standard error. SIGTERM or SIGINT lets open streams end \
            (the setting `drain` says how long), then it exits with 0; a second one ends it at once.

            Example:
              oncewire client --config /etc/oncewire/client.yaml
            """)

    @OptionGroup var options: DaemonOptions

    func run() throws {
        let (settings, warnings) = try options.load(SettingsFile.loadClient)
        try serve(role: .client, logLevel: settings.common.logLevel, warnings) { events in
            Daemon(client: settings, events: events)
        }
    }
}

/// What both daemons are called with.
struct DaemonOptions: ParsableArguments {
    @Option(
        name: [.short, .long], help: ArgumentHelp("The configuration file, or a pipe.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var config: String

    /// Prepares the process, because identities are loaded with the settings, and reads the file. The warnings are
    /// for the log.
    func load<Settings>(
        _ read: (String, (Problem) -> Void) throws(SettingsFailure) -> Settings
    ) throws -> (settings: Settings, warnings: [Problem]) {
        prepareProcess()
        ignoreStraySignals()
        revealSecretsIfAsked()
        raiseLimits()
        var warnings: [Problem] = []
        do {
            return (try read(config) { warnings.append($0) }, warnings)
        } catch {
            throw refused(error)
        }
    }
}

/// Runs a daemon until a signal has drained it.
private func serve(
    role: DaemonService.Role, logLevel: LogLevel, _ warnings: [Problem],
    make: (@escaping @Sendable (RelayEvent) -> Void) -> Daemon
) throws {
    let logger = Logger.onStandardError(level: Logger.Level(logLevel))
    for warning in warnings { logger.warning("\(warning)") }
    let log = EventLog(logger)
    let daemon = make { event in
        log.record(event)
        if let status = event.status { notifySystemd("STATUS=\(status)") }
    }
    try DaemonService(role: role, daemon: daemon, log: log, logger: logger).runUntilSignalled()
}
