// oncewire check: reads a configuration as the daemon would, and does nothing with it.
import ArgumentParser
import Glibc
import Settings
import Wire

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration file of a server or a client.",
        discussion: """
            Every problem is reported at once as file:line:column, with what to do about it, and the exit status \
            is 78. What is allowed and perhaps not meant is a warning on standard error, and the exit status stays \
            0. The identity file is loaded too; nothing is changed and no address is bound.

            Examples:
              oncewire check /etc/oncewire/server.yaml
              oncewire check client.yaml --show              every value in force, defaults included
              generate-config | oncewire check /dev/stdin    what a program writes, from a pipe
            """)

    @Option(
        name: [.short, .long], help: ArgumentHelp("The configuration file, or a pipe.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var config: String?

    @Argument(help: "The same, without --config.", completion: .file(extensions: ["yaml"]))
    var file: String?

    @Flag(help: "Print every value in force as YAML, those that were not written included.")
    var show = false

    func validate() throws {
        guard config == nil || file == nil else {
            throw ValidationError("Two configuration files are named: check one at a time.")
        }
        guard config != nil || file != nil else {
            throw ValidationError("No configuration file is named: oncewire check FILE")
        }
    }

    func run() throws {
        prepareProcess()
        let path = file ?? config ?? ""
        let loaded: Loaded
        do {
            loaded = try SettingsFile.load(path: path) { writeAll("\($0)\n", to: STDERR_FILENO) }
        } catch {
            throw refused(error)
        }
        writeAll(show ? loaded.rendering : "\(path): \(summary(loaded))\n", to: STDOUT_FILENO)
    }

    private func summary(_ loaded: Loaded) -> String {
        switch loaded {
        case .server(let server):
            "a good server configuration (services: \(list(server.services.keys.map(\.text))); devices: "
                + "\(list(server.devices.map(\.name))))"
        case .client(let client):
            "a good client configuration (services: \(list(client.services.keys.map(\.text))); server: \(client.server))"
        }
    }

    private func list(_ names: [String]) -> String { names.sorted().joined(separator: ", ") }
}

/// Prints every problem of a configuration and gives back the status to throw.
func refused(_ configuration: SettingsFailure) -> ExitCode {
    writeAll("\(configuration)\n", to: STDERR_FILENO)
    return ExitStatus.badConfiguration
}
