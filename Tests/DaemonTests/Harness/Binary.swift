// Finds the oncewire binary of the build under test.

import Foundation

/// The path of the binary: ONCEWIRE_BINARY if set, else the one beside the test bundle.
let oncewireBinary: String = {
    if let given = ProcessInfo.processInfo.environment["ONCEWIRE_BINARY"] { return given }
    let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    let candidates = [
        bundle.deletingLastPathComponent().appendingPathComponent("oncewire"),
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("oncewire"),
        package.appendingPathComponent(".build/debug/oncewire"),
    ]
    guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
        fatalError("no oncewire binary beside the tests: build first, or set ONCEWIRE_BINARY")
    }
    return found.path
}()

/// Whether the binary can be told to write its secrets to a file: only debug builds can, and a binary
/// that was named may be any.
let revealsSecrets = ProcessInfo.processInfo.environment["ONCEWIRE_BINARY"] == nil

/// What a command that ran to its end left behind.
struct Finished: Sendable {
    let end: ProcessEnd
    let output: String
    let errors: String

    var exitCode: Int32? { if case .exited(let code) = end { code } else { nil } }
    var succeeded: Bool { end == .exited(0) }
}
