// oncewire keygen, oncewire pubkey: private key files and the public keys that belong to them.
import ArgumentParser
import Glibc
import Pairing

struct KeygenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keygen",
        abstract: "Make a private key file and print its public key.",
        discussion: """
            The file is readable by its owner alone and is never overwritten. The public key goes to standard \
            output, alone on its line; it is no secret, and it is what the other side's configuration names.

            Example:
              oncewire keygen --identity /etc/oncewire/server.key
            """)

    @Option(help: ArgumentHelp("The private key file to make.", valueName: "file"), completion: .file())
    var identity: String

    func run() throws {
        prepareProcess()
        let made = Identity.generate()
        do {
            try made.save(path: identity)
        } catch {
            throw failure(ExitStatus.cannotCreate, "\(error)")
        }
        writeAll(made.publicKey.text + "\n", to: STDOUT_FILENO)
    }
}

struct PubkeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pubkey",
        abstract: "Print the public key of a private key file.",
        discussion: """
            Example:
              oncewire pubkey --identity /etc/oncewire/server.key
            """)

    @Option(help: ArgumentHelp("The private key file.", valueName: "file"), completion: .file())
    var identity: String

    func run() throws {
        prepareProcess()
        do {
            writeAll(try Identity.publicKey(path: identity).text + "\n", to: STDOUT_FILENO)
        } catch {
            throw failure(status(error), "\(error)")
        }
    }

    private func status(_ error: IdentityFileError) -> ExitCode {
        switch error {
        case .missing, .unreadable: ExitStatus.noInput
        default: ExitStatus.malformedInput
        }
    }
}
