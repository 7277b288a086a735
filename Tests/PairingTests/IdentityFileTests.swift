// Identity files: what is written is read back, and everything else is refused with words that help.

import CHarness
import Codec
import Foundation
import Glibc
import Testing

@testable import Pairing

@Suite("Identity files")
struct IdentityFileTests {
    private let folder = Folder()
    private let identity = Identity.generate()

    @Test("What is saved is read back as the same identity, from a file only its owner can use")
    func roundTrip() throws {
        let path = folder.path("device.key")
        try identity.save(path: path)
        #expect(try Identity.load(path: path).publicKey == identity.publicKey)
        #expect(mode(path) == 0o600)
        let content = try text(path)
        #expect(content.contains(identity.publicKey.text))
        let lines = content.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count == 1 && lines[0].hasPrefix("owkey-") && lines[0].count == 62)
    }

    @Test("The private key in a file is the one of the vectors", arguments: OwnVector.all)
    func knownAnswer(_ vector: OwnVector) throws {
        let path = folder.file(vector.devicePrivateText + "\n")
        #expect(try Identity.load(path: path).publicKey.bytes.hex == vector.devicePublic)

        let identity = Identity(
            privateKey: X25519.PrivateKey(Secret(copying: try #require([UInt8](hex: vector.device)))))
        let saved = folder.path("saved.key")
        try identity.save(path: saved)
        #expect(try text(saved).hasSuffix("\n" + vector.devicePrivateText + "\n"))
    }

    @Test("Nothing is ever overwritten")
    func overwrite() throws {
        let path = folder.file("precious")
        #expect(throws: IdentityFileError.alreadyExists(path: path)) { try identity.save(path: path) }
        #expect(try text(path) == "precious")
        let dangling = folder.path("dangling")
        symlink(folder.path("nowhere"), dangling)
        #expect(throws: IdentityFileError.alreadyExists(path: dangling)) { try identity.save(path: dangling) }
    }

    @Test("A file that cannot be written leaves nothing behind")
    func unwritable() throws {
        let path = folder.path("no/such/folder/key")
        #expect(throws: IdentityFileError.unwritable(path: path, code: ENOENT)) { try identity.save(path: path) }
    }

    @Test("A disk that fills up while writing leaves no half-written file")
    func fullDisk() async throws {
        // A limit on the file size makes write(2) fail like a full disk does; it holds for a whole process.
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 100, rlim_max: 100)
            guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { exit(2) }
            let path = "/tmp/oncewire-identity-\(getpid())"
            do {
                try Identity.generate().save(path: path)
                exit(3)
            } catch let error as IdentityFileError {
                guard error == .unwritable(path: path, code: EFBIG) else { exit(4) }
                exit(access(path, F_OK) == 0 ? 5 : 0)
            }
        }
    }

    @Test("Nothing but the identity is in its folder, whether saving it succeeds or not")
    func noRemains() throws {
        let path = folder.path("key")
        try identity.save(path: path)
        #expect(throws: IdentityFileError.self) { try identity.save(path: path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("")) == ["key"])
    }

    @Test("Saving waits for the disk to have the file, and fails without remains if it has not")
    func fileOnDisk() async { await expectFailure(ofSync: 1) }

    @Test("Saving waits for the disk to have the file's name, and fails without remains if it has not")
    func nameOnDisk() async { await expectFailure(ofSync: 0) }

    /// Lets fsync(2) fail for one of the two descriptors that saving opens: the folder, then the file. Such a filter
    /// holds for a whole process.
    private func expectFailure(ofSync number: Int32) async {
        await #expect(processExitsWith: .success) { [number] in
            let folder = "/tmp/oncewire-identity-\(getpid())"
            guard mkdir(folder, 0o700) == 0 else { exit(2) }
            let path = "\(folder)/key"
            do {
                // Another thread of the test's process may take a number in between: then it is tried again.
                for _ in 0..<3 {
                    // The numbers that the next two open(2) will give.
                    let first = Glibc.open("/dev/null", O_RDONLY)
                    let second = Glibc.open("/dev/null", O_RDONLY)
                    close(first)
                    close(second)
                    guard ch_fail_fsync(number == 0 ? first : second, EIO) == 0 else { exit(3) }
                    try Identity.generate().save(path: path)
                    unlink(path)
                }
                exit(4)
            } catch let error as IdentityFileError {
                guard error == .unwritable(path: path, code: EIO) else { exit(5) }
                // Fails unless the folder is empty.
                exit(rmdir(folder) == 0 ? 0 : 6)
            }
        }
    }

    @Test(
        "A file that others have any right to is refused",
        arguments: [0o640, 0o604, 0o660, 0o610, 0o601, 0o620] as [mode_t])
    func open(mode: mode_t) throws {
        let path = folder.path("key")
        try identity.save(path: path)
        chmod(path, mode)
        let error = #expect(throws: IdentityFileError.accessibleToOthers(path: path, mode: mode)) {
            try Identity.load(path: path)
        }
        #expect(error?.description.contains("chmod 600 \(path)") == true)
    }

    @Test("Stricter modes than 0600 are fine, and so is a symbolic link")
    func fine() throws {
        let path = folder.path("key")
        try identity.save(path: path)
        chmod(path, 0o400)
        let link = folder.path("link")
        symlink(path, link)
        #expect(try Identity.load(path: link).publicKey == identity.publicKey)
    }

    @Test("Things that are not files are refused without waiting")
    func notFiles() throws {
        let pipe = folder.path("pipe")
        mkfifo(pipe, 0o600)
        for path in [pipe, folder.path(""), "/dev/null"] {
            #expect(throws: IdentityFileError.notARegularFile(path: path)) { try Identity.load(path: path) }
        }
        let missing = folder.path("missing")
        #expect(throws: IdentityFileError.missing(path: missing)) { try Identity.load(path: missing) }
        let below = folder.file("x") + "/key"
        #expect(throws: IdentityFileError.unreadable(path: below, code: ENOTDIR)) { try Identity.load(path: below) }
    }

    @Test("Comments, blank lines and the line ends of other systems are skipped")
    func lenient() throws {
        let key = try keyLine()
        for content in [key, key + "\n", "# a\n\n  \n" + key + " \t\r\n# b\n", "#\r\n" + key + "\r\n\r\n"] {
            #expect(try Identity.load(path: folder.file(content)).publicKey == identity.publicKey)
        }
    }

    @Test("Every damaged character of the key is noticed")
    func damaged() throws {
        let key = [UInt8](try keyLine().utf8)
        for place in 6..<key.count {
            var changed = key
            changed[place] = key[place] == UInt8(ascii: "a") ? UInt8(ascii: "b") : UInt8(ascii: "a")
            let path = folder.file(String(decoding: changed, as: UTF8.self))
            #expect(throws: IdentityFileError.wrongChecksum(path: path)) { try Identity.load(path: path) }
        }
    }

    @Test("Any other content is refused by what is wrong with it")
    func malformed() throws {
        let key = try keyLine()
        let cases: [(String, IdentityFileError.Problem)] = [
            ("", .noKey), ("# only\n", .noKey), (key + "\n" + key, .severalKeys), (identity.publicKey.text, .publicKey),
            ("hello\n" + key, .unknownLine(1)), ("# c\n" + key + "\n-----BEGIN", .unknownLine(3)),
            (" " + key, .unknownLine(1)), (String(key.dropLast()), .wrongLength), (key + "a", .wrongLength),
            ("owkey-", .wrongLength), (String(key.dropLast()) + "1", .unknownCharacter), ("\0", .unknownLine(1)),
        ]
        for (content, problem) in cases {
            let path = folder.file(content)
            let error = #expect(throws: IdentityFileError.malformed(path: path, problem: problem)) {
                try Identity.load(path: path)
            }
            #expect(error?.description.contains(path) == true)
            #expect(error?.description.contains(key) == false, "no key in messages")
        }
    }

    @Test("The largest file is read, a larger one is refused")
    func size() throws {
        let key = try keyLine() + "\n"
        let largest = key + "#" + String(repeating: "x", count: IdentityFile.maxSize - key.utf8.count - 1)
        #expect(try Identity.load(path: folder.file(largest)).publicKey == identity.publicKey)
        let larger = folder.file(largest + "x")
        #expect(throws: IdentityFileError.tooLarge(path: larger)) { try Identity.load(path: larger) }
    }

    @Test("Random bytes are refused and crash nothing")
    func garbage() throws {
        for seed in 0..<100 as Range<UInt64> {
            let path = folder.file(bytes: [UInt8](garbage: seed, count: Int(seed) * 30))
            #expect(throws: IdentityFileError.self) { try Identity.load(path: path) }
        }
    }

    private func keyLine() throws -> String {
        let path = folder.path("line")
        unlink(path)
        try identity.save(path: path)
        return String(try #require(text(path).split(separator: "\n").last))
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }
}

/// A folder of its own for one test, removed afterwards.
private final class Folder: Sendable {
    private let root: URL = FileManager.default.temporaryDirectory.appendingPathComponent(
        "oncewire-" + UUID().uuidString)

    init() { try? FileManager.default.createDirectory(at: root, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: root) }

    func path(_ name: String) -> String { name.isEmpty ? root.path : root.appendingPathComponent(name).path }

    /// A new file, mode 0600.
    func file(_ content: String) -> String { file(bytes: [UInt8](content.utf8)) }

    func file(bytes: [UInt8]) -> String {
        let path = path(UUID().uuidString)
        _ = FileManager.default.createFile(atPath: path, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
        return path
    }
}
