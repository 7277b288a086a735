// Other people's programs: where they are, and when they are ready.

import Foundation
import Glibc

/// The path of an installed program. A missing one fails the test rather than skipping it: a test that
/// did not run proves nothing (scripts/test installs them all).
func program(_ name: String) throws -> String {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    var directories = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/local/bin", "/usr/bin"]
    let postgres = "/usr/lib/postgresql"
    let versions = (try? FileManager.default.contentsOfDirectory(atPath: postgres)) ?? []
    directories += versions.sorted().reversed().map { "\(postgres)/\($0)/bin" }
    for directory in directories where FileManager.default.isExecutableFile(atPath: "\(directory)/\(name)") {
        return "\(directory)/\(name)"
    }
    throw MissingProgram(name: name)
}

struct MissingProgram: Error, CustomStringConvertible {
    let name: String
    var description: String { "\(name) is not installed" }
}

/// Waits until something accepts connections there.
func waitUntilAccepting(_ endpoint: Endpoint, by child: Child) async throws {
    try await eventually("\(child.name) accepts connections at \(endpoint)") {
        if let end = child.end { throw MissingProgram(name: "\(child.name) ended (\(end)): \(child.errors), so it") }
        return (try? await onThread { try Socket.connect(to: endpoint) }) != nil
    }
}

/// The digest of a file.
func digest(ofFile path: String) throws -> Digest {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { throw SocketError(call: "open \(path)", code: errno) }
    defer { close(file) }
    var hasher = Hasher256()
    try withPiece { piece in
        while true {
            let count = read(file, piece.baseAddress, piece.count)
            guard count >= 0 else { throw SocketError(call: "read \(path)", code: errno) }
            if count == 0 { break }
            hasher.add(UnsafeRawBufferPointer(rebasing: piece[..<count]))
        }
    }
    return hasher.digest()
}

extension Scene {
    /// A file with the first `count` bytes of the stream of `seed`; its path.
    func patternFile(_ name: String, seed: UInt64, count: Int) throws -> String {
        let bytes = Pattern.bytes(seed: seed, count: count)
        guard FileManager.default.createFile(atPath: path(name), contents: Data(bytes)) else {
            throw SocketError(call: "create \(name)", code: errno)
        }
        return path(name)
    }
}
