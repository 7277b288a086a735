// Looks for byte strings in the memory of another process: every mapping that can be read and written.

import Foundation
import Glibc

/// A secret that a daemon of a debug build said it had made.
struct RevealedSecret: Sendable, Hashable {
    let label: String
    let bytes: [UInt8]

    /// What the file named by ONCEWIRE_TEST_REVEAL holds by now: lines of a label and hexadecimal digits.
    static func all(in path: String) throws -> [RevealedSecret] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2 else { return nil }
            let digits = Array(words[1].utf8)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
            }
            return RevealedSecret(label: String(words[0]), bytes: bytes)
        }
    }
}

/// The memory of a child.
struct ProcessMemory {
    let pid: pid_t

    /// Which of `secrets` are somewhere in it now.
    func found(_ secrets: [RevealedSecret]) throws -> [RevealedSecret] {
        let descriptor = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SocketError(call: "open /proc/\(pid)/mem", code: errno) }
        defer { close(descriptor) }
        var found: Set<RevealedSecret> = []
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
        defer { piece.deallocate() }
        for range in try writableMappings() {
            var offset = range.lowerBound
            while offset < range.upperBound {
                let wanted = Int(min(UInt64(Self.pieceSize), range.upperBound - offset))
                let got = pread(descriptor, piece.baseAddress, wanted, off_t(truncatingIfNeeded: offset))
                guard got > 0 else { break }
                for secret in secrets where !found.contains(secret) {
                    if memmem(piece.baseAddress!, got, secret.bytes, secret.bytes.count) != nil { found.insert(secret) }
                }
                // The next piece begins a little before the end of this one: a secret may lie across.
                offset += UInt64(got < wanted || got <= Self.overlap ? got : got - Self.overlap)
                if got < wanted { break }
                if offset + UInt64(Self.overlap) >= range.upperBound { break }
            }
        }
        return secrets.filter(found.contains)
    }

    /// Which of `needles`, of 16 bytes each, are somewhere in it now, and in which mapping. Many at once.
    func found(_ needles: Needles) throws -> [(name: String, mapping: String)] {
        let descriptor = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SocketError(call: "open /proc/\(pid)/mem", code: errno) }
        defer { close(descriptor) }
        var found: [(name: String, mapping: String)] = []
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 4096)
        defer { piece.deallocate() }
        for range in try writableMappings() {
            var offset = range.lowerBound
            while offset < range.upperBound {
                let wanted = Int(min(UInt64(Self.pieceSize), range.upperBound - offset))
                let got = pread(descriptor, piece.baseAddress, wanted, off_t(truncatingIfNeeded: offset))
                guard got > 0 else { break }
                for (place, name) in needles.found(in: UnsafeRawBufferPointer(rebasing: piece[..<got])) {
                    let address = offset + UInt64(place)
                    let mapping = String(range.lowerBound, radix: 16) + "-" + String(range.upperBound, radix: 16)
                    found.append((name, "\(String(address, radix: 16)) of \(mapping)"))
                }
                // The next piece begins a little before the end of this one: a needle may lie across.
                guard got == wanted, offset + UInt64(got) < range.upperBound else { break }
                offset += UInt64(got - Self.overlap)
            }
        }
        return found
    }

    /// Reads a file of /proc to its end. (Foundation takes the first short read for the end, and the kernel gives such
    /// files a page at a time.)
    private func wholeFile(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SocketError(call: "open \(path)", code: errno) }
        defer { close(descriptor) }
        var whole: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let got = read(descriptor, &piece, piece.count)
            guard got > 0 else { return whole }
            whole += piece[..<got]
        }
    }

    private static let pieceSize = 1 << 20
    private static let overlap = 64

    private func writableMappings() throws -> [Range<UInt64>] {
        String(decoding: try wholeFile("/proc/\(pid)/maps"), as: UTF8.self)
            .split(separator: "\n").compactMap { line in
                let fields = line.split(separator: " ", maxSplits: 2)
                guard fields.count >= 2, fields[1].hasPrefix("rw") else { return nil }
                let ends = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
                return ends.count == 2 ? ends[0]..<ends[1] : nil
            }
    }
}

// memmem(3) is a GNU extension that the Glibc module does not show.
@_silgen_name("memmem")
private func memmem(
    _ haystack: UnsafeRawPointer, _ haystackCount: Int, _ needle: UnsafeRawPointer, _ needleCount: Int
) -> UnsafeMutableRawPointer?
