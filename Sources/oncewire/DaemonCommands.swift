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
            exits with 0.

            Example:
              oncewire server --config /etc/oncewire/server.yaml
            """)

    @OptionGroup var options: DaemonOptions

    func run() throws {
        let settings = try options.load(SettingsFile.loadServer)
        try serve(role: .server, logLevel: settings.common.logLevel) { events in
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
            (the setting `drain` says how long), then it exits with 0.

            Example:
              oncewire client --config /etc/oncewire/client.yaml
            """)

    @OptionGroup var options: DaemonOptions

    func run() throws {
        let settings = try options.load(SettingsFile.loadClient)
        try serve(role: .client, logLevel: settings.common.logLevel) { events in
            Daemon(client: settings, events: events)
        }
    }
}

/// What both daemons are called with.
struct DaemonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The configuration file.", valueName: "file"), completion: .file(extensions: ["yaml"]))
    var config: String

    /// Prepares the process, because identities are loaded with the settings, and reads the file.
    func load<Settings>(_ read: (String) throws(SettingsFailure) -> Settings) throws -> Settings {
        prepareProcess()
        revealSecretsIfAsked()
        raiseLimits()
        do {
            return try read(config)
        } catch {
            throw refused(error)
        }
    }
}

/// Runs a daemon until a signal has drained it.
private func serve(
    role: DaemonService.Role, logLevel: LogLevel, make: (@escaping @Sendable (RelayEvent) -> Void) -> Daemon
) throws {
    let log = EventLog(.onStandardError(level: Logger.Level(logLevel)))
    let daemon = make { event in
        log.record(event)
        if let status = event.status { notifySystemd("STATUS=\(status)") }
    }
    try DaemonService(role: role, daemon: daemon, log: log).runUntilSignalled()
}
