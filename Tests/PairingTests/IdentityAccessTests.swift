// Whose an identity file may be and who else may read it: owners, groups, access control lists, systemd's directory.
// Only root can make most of these files, and become another user to read them.

import CHarness
import Foundation
import Glibc
import Testing

@testable import Pairing

private let isRoot = geteuid() == 0

@Suite("Whose an identity file is", .enabled(if: isRoot))
struct IdentityAccessTests {
    private static let user: uid_t = 65_534
    private static let group: gid_t = 65_534
    private static let stranger: uid_t = 1234

    /// What tries to read a file.
    private enum Reader: CaseIterable { case root, user }

    /// One file and what the readers must find: nil is that they read it.
    private struct Case: Sendable {
        var owner: uid_t = 0
        var group: gid_t = 0
        var mode: mode_t = 0o400
        /// Named entries of an access control list: tag (2 a user, 8 a group), id, rights.
        var list: [(tag: UInt16, id: UInt32, rights: UInt16)] = []
        /// Whether the file lies in the directory that CREDENTIALS_DIRECTORY names.
        var isCredential = false
        let root: String?
        let user: String?
    }

    private static let theirs = "belongs to user"
    private static let mode = "open to others, mode"
    private static let list = "by its access control list"
    private static let permission = "cannot be read"

    private static let cases: [Case] = [
        Case(root: nil, user: permission),
        Case(owner: user, group: group, mode: 0o600, root: theirs, user: nil),
        Case(owner: user, group: group, mode: 0o640, root: theirs, user: mode),
        Case(owner: stranger, mode: 0o600, root: theirs, user: permission),
        // Kubernetes with fsGroup, Docker, chgrp: root's, for the service's group.
        Case(group: group, mode: 0o440, root: mode, user: nil),
        Case(group: group, mode: 0o640, root: mode, user: nil),
        Case(group: group, mode: 0o460, root: mode, user: mode),
        Case(group: group, mode: 0o450, root: mode, user: mode),
        Case(group: group, mode: 0o444, root: mode, user: mode),
        Case(group: 4321, mode: 0o440, root: mode, user: permission),
        Case(mode: 0o440, root: nil, user: permission),
        Case(mode: 0o640, root: mode, user: permission),
        Case(owner: stranger, group: group, mode: 0o440, root: theirs, user: theirs),
        // systemd hands out credentials like this: 0400, and one user let in, which shows as 0440.
        Case(list: [(2, user, 4)], root: list, user: nil),
        Case(mode: 0o440, list: [(2, user, 4)], root: list, user: nil),
        Case(list: [(2, user, 6)], root: list, user: nil),
        Case(list: [(8, group, 4)], root: list, user: nil),
        Case(list: [(8, group, 6)], root: list, user: list),
        Case(list: [(2, user, 4), (2, stranger, 4)], root: list, user: list),
        Case(list: [(2, user, 4), (2, stranger, 0)], root: list, user: nil),
        Case(list: [(2, user, 4), (8, 4321, 4)], root: list, user: list),
        Case(group: 4321, mode: 0o440, list: [(2, user, 4)], root: list, user: list),
        Case(owner: stranger, list: [(2, user, 4)], root: theirs, user: theirs),
        Case(group: 4321, mode: 0o440, isCredential: true, root: nil, user: permission),
        Case(group: 4321, mode: 0o640, isCredential: true, root: mode, user: permission),
        Case(group: 4321, mode: 0o444, isCredential: true, root: mode, user: mode),
        Case(owner: stranger, group: group, mode: 0o440, isCredential: true, root: theirs, user: theirs),
    ]

    @Test(
        "Files of root and of the reader that nobody else may use are read, all others refused",
        arguments: cases.indices)
    func access(index: Int) async throws {
        let one = Self.cases[index]
        let folder = "/tmp/oncewire-access-\(getpid())-\(index)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        chmod(folder, 0o755)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/key"
        try Identity.generate().save(path: path)
        #expect(chown(path, one.owner, one.group) == 0 && chmod(path, one.mode) == 0)
        if !one.list.isEmpty { try #require(setList(one.list, mode: one.mode, on: path)) }
        for reader in Reader.allCases {
            let said = try read(path, as: reader, credentials: one.isCredential ? folder : nil)
            let expected = reader == .root ? one.root : one.user
            #expect(expected.map { said.contains($0) } ?? said.isEmpty, "\(reader), \(one): \(said)")
        }
    }

    @Test("Root may ask for the public key of a file of anybody, if nobody else may read that")
    func publicKey() throws {
        let path = "/tmp/oncewire-access-\(getpid())-public"
        let identity = Identity.generate()
        try identity.save(path: path)
        defer { unlink(path) }
        #expect(chown(path, Self.user, Self.group) == 0)
        #expect(try Identity.publicKey(path: path) == identity.publicKey)
        chmod(path, 0o640)
        #expect(throws: IdentityFileError.self) { try Identity.publicKey(path: path) }
    }

    /// What a process of that user is told of the file; empty if it can use it.
    private func read(_ path: String, as reader: Reader, credentials: String?) throws -> String {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        // A thread's own ids, by system calls that the C library does not spread to the other threads.
        let done = DispatchSemaphore(value: 0)
        let end = ends[1]
        Thread.detachNewThread {
            defer {
                close(end)
                done.signal()
            }
            let isOther = reader == .user
            if isOther, ch_become_thread(Self.user, Self.group) != 0 { return Self.put("cannot become the user", end) }
            do {
                _ = try IdentityFile.read(path: path, credentials: credentials)
            } catch {
                Self.put("\(error)", end)
            }
        }
        done.wait()
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(ends[0], &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    private static func put(_ text: String, _ end: Int32) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(end, $0.baseAddress, $0.count) }
    }

    /// Gives a file an access control list of these entries beside the ones that stand for its mode.
    private func setList(_ named: [(tag: UInt16, id: UInt32, rights: UInt16)], mode: mode_t, on path: String) -> Bool {
        var bytes: [UInt8] = [2, 0, 0, 0]
        func add(_ tag: UInt16, _ id: UInt32, _ rights: UInt16) {
            for value in [tag, rights] { bytes += [UInt8(value & 255), UInt8(value >> 8)] }
            bytes += (0..<4).map { UInt8(id >> (8 * $0) & 255) }
        }
        add(1, .max, UInt16(mode >> 6 & 7))
        for entry in named where entry.tag == 2 { add(2, entry.id, entry.rights) }
        add(4, .max, UInt16(mode >> 3 & 7))
        for entry in named where entry.tag == 8 { add(8, entry.id, entry.rights) }
        add(0x10, .max, named.reduce(UInt16(mode >> 3 & 7)) { $0 | $1.rights })
        add(0x20, .max, UInt16(mode & 7))
        return ch_set_access_list(path, bytes, bytes.count) == 0
    }
}
