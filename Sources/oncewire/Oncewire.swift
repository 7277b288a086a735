// The command `oncewire`: what it is called with. Each subcommand is a file of its own.
import ArgumentParser

@main
struct Oncewire: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "oncewire",
        abstract: "Wrap TCP services between two hosts; every frame is encoded once and done.",
        usage: "oncewire <command> [options]",
        discussion: """
            The client accepts plain TCP next to an application, the server connects to the service. Between \
            them every frame is encrypted by an encoder that exists for that frame only.

            A first tunnel, for PostgreSQL on db.example.net:

              server$ oncewire keygen --identity server.key     (prints its public key)
              client$ oncewire keygen --identity client.key     (prints its public key)

              server.yaml:
                listen: "0.0.0.0:7700"
                identity: server.key
                services:
                  postgres: {target: "127.0.0.1:5432"}
                devices:
                  laptop: {key: "owpub-(the client's)", services: [postgres]}

              client.yaml:
                server: {address: "db.example.net:7700", key: "owpub-(the server's)"}
                identity: client.key
                services:
                  postgres: {listen: "127.0.0.1:5432"}

              server$ oncewire server --config server.yaml
              client$ oncewire client --config client.yaml
              client$ psql -h 127.0.0.1

            To see a tunnel work without configuring anything: oncewire demo

            Exit status (sysexits.h): 0 done, 1 the demo failed, 64 wrong usage, 65 malformed key file, 66 no key \
            file, 69 cannot listen, 70 internal error, 71 a system call failed, 73 cannot create the key file, \
            78 bad configuration, 130 or 143 ended at once by a second SIGINT or SIGTERM.
            """,
        version: "oncewire \(oncewireVersion)",
        subcommands: [
            KeygenCommand.self, PubkeyCommand.self, ServerCommand.self, ClientCommand.self, CheckCommand.self,
            DemoCommand.self,
        ]
    )
}

/// The version of the program; the protocol has a number of its own.
let oncewireVersion = "0.1.0"
