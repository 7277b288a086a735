// What the tests of this module share: bytes and hex, secrets from bytes, frames in memory, known answers.

import Foundation
import Testing

@testable import Codec

/// The bytes of a hex string; nil if it is none.
func bytes(hex: String) -> [UInt8]? {
    let digits = Array(hex.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else {
            return nil
        }
        bytes.append(byte)
    }
    return bytes
}

/// The bytes of a hex string that has to be one.
func hex(_ text: String?) throws -> [UInt8] { try #require(bytes(hex: text ?? "")) }

func secret(_ bytes: [UInt8]) -> Secret {
    let secret = Secret(count: bytes.count)
    secret.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
    return secret
}

extension Secret {
    /// A copy for comparing.
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension HMACDRBG {
    init(entropy: [UInt8], nonce: [UInt8], personalization: [UInt8]) {
        let e = secret(entropy)
        let n = secret(nonce)
        let p = secret(personalization)
        self = e.withUnsafeBytes { e in
            n.withUnsafeBytes { n in
                p.withUnsafeBytes { HMACDRBG(entropy: e, nonce: n, personalization: $0) }
            }
        }
    }

    mutating func generate(_ count: Int, additionalInput: [UInt8] = []) throws -> [UInt8] {
        var output = [UInt8](repeating: 0, count: count)
        try output.withUnsafeMutableBytes { output in
            try additionalInput.withUnsafeBytes { try generate(into: output, additionalInput: $0) }
        }
        return output
    }

    mutating func reseed(entropy: [UInt8], additionalInput: [UInt8]) {
        entropy.withUnsafeBytes { entropy in
            additionalInput.withUnsafeBytes { reseed(entropy: entropy, additionalInput: $0) }
        }
    }

    var key: [UInt8] {
        var bytes: [UInt8] = []
        withKeyAndV { key, _ in bytes = Array(key) }
        return bytes
    }

    var v: [UInt8] {
        var bytes: [UInt8] = []
        withKeyAndV { _, v in bytes = Array(v) }
        return bytes
    }
}

/// A frame in memory of its own, 64 bytes of room on either side of it to catch writes beyond it.
final class FrameBuffer {
    private let memory: UnsafeMutableRawPointer
    private static let margin = 64
    let count: Int
    var start: UnsafeMutableRawPointer { memory + Self.margin }

    /// A header for `count` plaintext bytes, type DATA, and those bytes.
    init(nonce: UInt64, plaintext: [UInt8]) {
        count = plaintext.count
        memory = .allocate(byteCount: 32 + plaintext.count + 2 * Self.margin, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0xEE, count: 32 + plaintext.count + 2 * Self.margin)
        start.storeBytes(of: (0x0200_0000_0000_0000 | UInt64(plaintext.count)).bigEndian, as: UInt64.self)
        start.storeBytes(of: nonce.bigEndian, toByteOffset: 8, as: UInt64.self)
        plaintext.withUnsafeBytes {
            if !$0.isEmpty { (start + 16).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        }
    }

    /// The same bytes as an encoded frame.
    init(frame: [UInt8]) {
        count = frame.count - 32
        memory = .allocate(byteCount: frame.count + 2 * Self.margin, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0xEE, count: frame.count + 2 * Self.margin)
        frame.withUnsafeBytes { start.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }

    deinit { memory.deallocate() }

    var header: [UInt8] { Array(UnsafeRawBufferPointer(start: start, count: 16)) }
    var body: [UInt8] { Array(UnsafeRawBufferPointer(start: start + 16, count: count)) }
    var frame: [UInt8] { Array(UnsafeRawBufferPointer(start: start, count: 32 + count)) }
    var marginsAreIntact: Bool {
        UnsafeRawBufferPointer(start: memory, count: Self.margin).allSatisfy { $0 == 0xEE }
            && UnsafeRawBufferPointer(start: start + 32 + count, count: Self.margin).allSatisfy { $0 == 0xEE }
    }
}

/// The three inputs of a direction, and both its ends.
struct Direction {
    var entropy = RandomBytes.bytes(32)
    var personalization = RandomBytes.bytes(32)
    var prefix = RandomBytes.bytes(14)

    func encoders(from next: UInt64 = 0) -> EncoderSource {
        EncoderSource(entropy: secret(entropy), personalization: personalization, prefix: prefix, next: next)
    }

    func decoders(from next: UInt64 = 0) -> DecoderSource {
        DecoderSource(entropy: secret(entropy), personalization: personalization, prefix: prefix, next: next)
    }

    /// The frame with `plaintext` and this nonce.
    func frame(_ plaintext: [UInt8], nonce: UInt64 = 0) throws -> [UInt8] {
        let buffer = FrameBuffer(nonce: nonce, plaintext: plaintext)
        var encoders = encoders(from: nonce)
        try encoders.makeEncoder().encode(frame: buffer.start, count: buffer.count, with: FrameCipher())
        return buffer.frame
    }
}

/// Files with known answers.
enum KnownAnswers {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The published sets: the directory that ONCEWIRE_VECTORS names, or ../shared/vectors.
    private static let published =
        ProcessInfo.processInfo.environment["ONCEWIRE_VECTORS"].map { URL(filePath: $0) }
        ?? root.deletingLastPathComponent().appending(path: "shared/vectors")

    /// A published file; nil, and a line saying so, if it is not there.
    static func published(_ name: String) throws -> Data? {
        let file = published.appending(path: name)
        guard FileManager.default.fileExists(atPath: file.path) else {
            print("no \(name) under ONCEWIRE_VECTORS: skipped")
            return nil
        }
        return try Data(contentsOf: file)
    }

    /// One of the repository's own files, written by scripts/vectors.py.
    static func own<Content: Decodable>(_ name: String, as type: Content.Type) throws -> Content {
        try JSONDecoder().decode(type, from: Data(contentsOf: root.appending(path: "Tests/Vectors/Codec/\(name)")))
    }

    /// Says how many answers of a file were checked. None at all is a failure: the file was not understood.
    static func report(_ name: String, ran: Int, skipped: Int = 0) {
        print("ran \(ran) known answers from \(name)" + (skipped > 0 ? ", skipped \(skipped)" : ""))
        #expect(ran > 0, "\(name) holds nothing that was understood")
    }
}

/// The lines of a file under /proc/self, read to its end: such files give a page at a time and have no
/// size, which makes Foundation stop after the first.
func processLines(_ name: String) throws -> [Substring] {
    let handle = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/\(name)"))
    var text = Data()
    while let part = try handle.read(upToCount: 1 << 16), !part.isEmpty { text.append(part) }
    return String(decoding: text, as: UTF8.self).split(separator: "\n")
}
