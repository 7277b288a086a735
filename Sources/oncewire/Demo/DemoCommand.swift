// oncewire demo: a whole tunnel in one process, used and checked, on one screen.
import ArgumentParser
import Glibc
import Relay

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show a tunnel at work on this machine, and check it.",
        discussion: """
            Runs a server, a client and a sample service in this process, with new keys and nothing on disk. \
            Applications send data through the tunnel and get it back; the SHA-256 hashes of what was sent and \
            of what arrived are compared at both ends. In between sits an eavesdropper, who shows what he saw of \
            the first frame with application data.

            Exits with 0 if everything arrived, with 1 and the reason if not, after 30 seconds at the latest.

            Example:
              oncewire demo
            """)

    /// The whole demo takes a second or two; this is for a machine where something hangs.
    private static let deadline = Duration.seconds(30)

    func run() throws {
        prepareProcess()
        let diary = DemoDiary()
        endProcess(after: Self.deadline, diary: diary)
        do {
            let report = try DemoRun(diary: diary).report()
            writeAll(report, to: STDOUT_FILENO)
        } catch {
            throw failure(ExitCode.failure, "the demo failed: \(error)\(diary.text)")
        }
    }

    /// Ends the process with status 1 when the time has passed, whatever else is stuck.
    private func endProcess(after deadline: Duration, diary: DemoDiary) {
        startThread("demo deadline") {
            sleep(UInt32(deadline.components.seconds))
            _ = failure(
                ExitCode.failure,
                "the demo failed: not done after \(deadline.components.seconds) s, while \(diary.step)\(diary.text)")
            _exit(ExitCode.failure.rawValue)
        }
    }
}
