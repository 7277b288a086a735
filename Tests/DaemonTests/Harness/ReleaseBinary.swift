// Finds the oncewire binary as it is built for release: what debug builds leave in memory says little about it.

import Foundation

/// ONCEWIRE_RELEASE_BINARY if set, else what `swift build -c release --product oncewire` made, which scripts/test does
/// first; nil if it is not there.
let releaseBinary: String? = {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    let path =
        ProcessInfo.processInfo.environment["ONCEWIRE_RELEASE_BINARY"]
        ?? package.appendingPathComponent(".build/release/oncewire").path
    guard FileManager.default.isExecutableFile(atPath: path) else { return nil }
    return path
}()
