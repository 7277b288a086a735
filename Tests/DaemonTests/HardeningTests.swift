// How the binary is linked and compiled, read from the file itself.

import Foundation
import Testing

@Suite("Hardening of the binary")
struct HardeningTests {
    private static let binaries = [oncewireBinary] + (releaseBinary.map { [$0] } ?? [])

    @Test(
        "All symbols are bound at start and read-only from then on, in a position-independent binary",
        arguments: binaries)
    func relocations(path: String) throws {
        let file = try ELF(path)
        #expect(file.type == 3, "ET_DYN")
        #expect(file.segments.contains { $0.type == 0x6474_e552 }, "PT_GNU_RELRO")
        let dynamic = try file.dynamic()
        #expect((dynamic[30] ?? 0) & 8 != 0, "DF_BIND_NOW")
        #expect((dynamic[0x6fff_fffb] ?? 0) & 1 != 0, "DF_1_NOW")
        #expect((dynamic[0x6fff_fffb] ?? 0) & 0x0800_0000 != 0, "DF_1_PIE")
    }

    @Test("No memory is both writable and executable, the stack included", arguments: binaries)
    func writableCode(path: String) throws {
        let file = try ELF(path)
        #expect(file.segments.filter { $0.type == 1 }.allSatisfy { $0.flags & 3 != 3 })
        let stack = try #require(file.segments.first { $0.type == 0x6474_e551 }, "PT_GNU_STACK")
        #expect(stack.flags & 1 == 0)
    }

    @Test("Our C checks its stack frames", arguments: binaries)
    func stackProtector(path: String) throws {
        #expect(try ELF(path).contains("__stack_chk_fail"))
    }

    @Test("Our C is fortified in a release build", .enabled(if: releaseBinary != nil))
    func fortified() throws {
        #expect(try ELF(releaseBinary!).contains("__explicit_bzero_chk"))
    }
}

/// As much of a 64-bit ELF file as these tests ask about.
private struct ELF {
    struct Segment {
        let type: UInt32
        let flags: UInt32
        let offset: UInt64
        let size: UInt64
    }

    let type: UInt16
    let segments: [Segment]
    private let bytes: Data

    init(_ path: String) throws {
        bytes = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        func number<Number: FixedWidthInteger>(_ offset: UInt64, _ type: Number.Type, _ bytes: Data) -> Number {
            bytes[Int(offset)..<Int(offset) + MemoryLayout<Number>.size].reversed().reduce(0) { $0 << 8 | Number($1) }
        }
        try #require(bytes.prefix(6) == Data([0x7f, 0x45, 0x4c, 0x46, 2, 1]))
        type = number(16, UInt16.self, bytes)
        let (table, size) = (number(32, UInt64.self, bytes), UInt64(number(54, UInt16.self, bytes)))
        segments = (0..<UInt64(number(56, UInt16.self, bytes))).map { [bytes] index in
            let start = table + index * size
            return Segment(
                type: number(start, UInt32.self, bytes), flags: number(start + 4, UInt32.self, bytes),
                offset: number(start + 8, UInt64.self, bytes), size: number(start + 32, UInt64.self, bytes))
        }
    }

    /// The entries of the dynamic section, by tag; of a tag that stands there more than once the last.
    func dynamic() throws -> [UInt64: UInt64] {
        let segment = try #require(segments.first { $0.type == 2 }, "PT_DYNAMIC")
        let section = bytes[Int(segment.offset)..<Int(segment.offset + segment.size)]
        let words = stride(from: section.startIndex, to: section.endIndex, by: 8).map { start in
            section[start..<start + 8].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        }
        return stride(from: 0, to: words.count - 1, by: 2).reduce(into: [:]) { $0[words[$1]] = words[$1 + 1] }
    }

    /// Whether a symbol's name stands in it.
    func contains(_ name: String) -> Bool { bytes.range(of: Data([0] + Array(name.utf8) + [0])) != nil }
}
