// Configurations that come from a program: through a pipe, a socket, or a descriptor that a shell names.

import Foundation
import Glibc
import Testing

@testable import Settings

@Suite("Configurations from pipes")
struct PipeTests {
    let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    private var text: String {
        workshop.filled(Workshop.goodServer).replacing("server.key", with: workshop.path("server.key"))
    }

    /// Writes to a descriptor from a thread, in pieces, and closes it.
    private func write(_ text: String, to descriptor: Int32, pieces: Int = 1) {
        let bytes = Array(text.utf8)
        Thread.detachNewThread {
            let size = bytes.count / pieces + 1
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = Array(bytes[start..<min(bytes.count, start + size)])
                _ = piece.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            }
            close(descriptor)
        }
    }

    private func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(Glibc.pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    @Test(
        "A descriptor by its name, as shells give it for <(…), is read to its end",
        arguments: ["/dev/fd/", "/proc/self/fd/"])
    func descriptor(prefix: String) throws {
        let ends = try pipe()
        defer { close(ends.read) }
        write(text, to: ends.write, pieces: 7)
        let loaded = try SettingsFile.load(path: "\(prefix)\(ends.read)")
        guard case .server(let settings) = loaded else { throw CancellationError() }
        #expect(settings.identityPath == workshop.path("server.key"))
    }

    @Test("A socket is read like a pipe, though its name cannot be opened")
    func socket() throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[0]) }
        write(text, to: ends[1], pieces: 2)
        _ = try SettingsFile.loadServer(path: "/dev/fd/\(ends[0])")
    }

    @Test("A named pipe is read, and its writer may come later than its reader")
    func namedPipe() throws {
        let path = workshop.path("pipe")
        #expect(mkfifo(path, 0o600) == 0)
        let text = text
        Thread.detachNewThread {
            // This open waits for the reader.
            let descriptor = open(path, O_WRONLY)
            let bytes = Array(text.utf8)
            _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
        }
        _ = try SettingsFile.loadServer(path: path)
    }

    @Test("A pipe that stays silent is given up, with words that say so")
    func silent() throws {
        let named = workshop.path("pipe")
        #expect(mkfifo(named, 0o600) == 0)
        let ends = try pipe()
        defer {
            close(ends.read)
            close(ends.write)
        }
        for path in [named, "/dev/fd/\(ends.read)"] {
            let failure = #expect(throws: SettingsFailure.self) { try FileBytes.read(path, patience: 20) }
            #expect(
                failure?.description
                    == "\(path): error: nothing came through this pipe for 20ms (check the program that writes it)")
        }
    }

    @Test("A pipe without an end is refused after 1 MiB")
    func endless() throws {
        let ends = try pipe()
        _ = signal(SIGPIPE, SIG_IGN)
        let writing = ends.write
        Thread.detachNewThread {
            let zeros = [UInt8](repeating: UInt8(ascii: "#"), count: 65_536)
            while zeros.withUnsafeBytes({ Glibc.write(writing, $0.baseAddress, $0.count) }) > 0 {}
            close(writing)
        }
        let failure = #expect(throws: SettingsFailure.self) { try SettingsFile.load(path: "/dev/fd/\(ends.read)") }
        #expect(failure?.problems.first?.message == "the file is larger than 1 MiB")
        close(ends.read)
    }

    @Test("A descriptor that is not open is a problem of the file, as any path that leads nowhere")
    func closed() {
        let failure = #expect(throws: SettingsFailure.self) { try SettingsFile.load(path: "/dev/fd/987654") }
        #expect(failure?.problems.first?.message == "the file cannot be opened: Bad file descriptor")
    }

    @Test("Relative paths start from the working directory when the configuration has no directory of its own")
    func relative() {
        #expect(FileBytes.directory(of: "/dev/stdin") == FileManager.default.currentDirectoryPath)
        #expect(FileBytes.directory(of: "/dev/fd/63") == FileManager.default.currentDirectoryPath)
        #expect(FileBytes.directory(of: "/run/pipe") == "/run")
    }
}
