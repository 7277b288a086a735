// Test data: a long pseudo-random stream that both ends can make from a number, and a hash taken
// while the bytes pass. Both by libcrypto, because a debug build of Swift would need minutes for a GiB.

import COpenSSL
import Foundation
import Glibc

/// The bytes of AES-128-CTR under a key made from a seed: never repeating, cheap, and the same for
/// everybody who knows the seed.
struct Pattern: ~Copyable {
    private let context = EVP_CIPHER_CTX_new()!

    init(seed: UInt64) {
        var key = [UInt8](repeating: 0, count: 16)
        withUnsafeBytes(of: seed.littleEndian) { key.replaceSubrange(0..<8, with: $0) }
        let started = EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nil, key, [UInt8](repeating: 0, count: 16))
        precondition(started == 1)
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Overwrites `buffer` with the next bytes of the stream.
    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        memset(buffer.baseAddress!, 0, buffer.count)
        let bytes = buffer.assumingMemoryBound(to: UInt8.self).baseAddress!
        var count: Int32 = 0
        precondition(EVP_EncryptUpdate(context, bytes, &count, bytes, Int32(buffer.count)) == 1)
    }

    /// The next `count` bytes of the stream.
    mutating func bytes(_ count: Int) -> [UInt8] {
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableRawBufferPointer(buffer))
            initialized = count
        }
    }

    /// The first `count` bytes of the stream of `seed`.
    static func bytes(seed: UInt64, count: Int) -> [UInt8] {
        var pattern = Pattern(seed: seed)
        return pattern.bytes(count)
    }

    /// The digest of `count` bytes of the stream of `seed`, after the first `skipped`.
    static func digest(seed: UInt64, skipping skipped: Int = 0, count: Int) -> Digest {
        var pattern = Pattern(seed: seed)
        _ = pattern.bytes(skipped)
        var hasher = Hasher256()
        withPiece { piece in
            var left = count
            while left > 0 {
                let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(left, piece.count)])
                pattern.fill(part)
                hasher.add(UnsafeRawBufferPointer(part))
                left -= part.count
            }
        }
        return hasher.digest()
    }
}

/// What passed: how many bytes, and their SHA-256 in hexadecimal.
struct Digest: Equatable, Sendable, CustomStringConvertible {
    let count: Int
    let sha256: String
    var description: String { "\(count) bytes, sha256 \(sha256.prefix(16))…" }
}

/// SHA-256 over bytes as they come.
struct Hasher256: ~Copyable {
    private let context = EVP_MD_CTX_new()!
    private(set) var count = 0

    init() { precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1) }

    deinit { EVP_MD_CTX_free(context) }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1)
        count += bytes.count
    }

    consuming func digest() -> Digest {
        var result = [UInt8](repeating: 0, count: 32)
        precondition(EVP_DigestFinal_ex(context, &result, nil) == 1)
        return Digest(count: count, sha256: result.map { String(format: "%02x", $0) }.joined())
    }
}

/// Lends a buffer of 256 KiB.
func withPiece<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 64)
    defer { piece.deallocate() }
    return try body(piece)
}

extension Socket {
    /// Sends the first `count` bytes of the stream of `seed`. `progress` hears how many are gone.
    func sendPattern(seed: UInt64, count: Int, progress: (Int) -> Void = { _ in }) throws {
        var pattern = Pattern(seed: seed)
        try withPiece { piece in
            var sent = 0
            while sent < count {
                let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(count - sent, piece.count)])
                pattern.fill(part)
                try send(UnsafeRawBufferPointer(part))
                sent += part.count
                progress(sent)
            }
        }
    }

    /// Sends the stream of `seed` until nothing more has been taken for a second: every buffer on the way
    /// is full then. No call is left waiting in the socket, so that it can be reset. Returns the count.
    func sendUntilFull(seed: UInt64) throws -> Int {
        var pattern = Pattern(seed: seed)
        return try withPiece { piece in
            var total = 0
            var rest = UnsafeRawBufferPointer(start: nil, count: 0)
            var full = ContinuousClock.now
            while ContinuousClock.now - full < .seconds(1) {
                if rest.isEmpty {
                    pattern.fill(piece)
                    rest = UnsafeRawBufferPointer(piece)
                }
                let sent = try sendNow(rest)
                total += sent
                rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
                if sent > 0 { full = .now } else { usleep(5000) }
            }
            return total
        }
    }

    /// Receives until the orderly end and says what came. `progress` hears how many bytes are there.
    func digestToEnd(progress: (Int) -> Void = { _ in }) throws -> Digest {
        var hasher = Hasher256()
        try withPiece { piece in
            while true {
                let received = try receive(into: piece)
                if received == 0 { break }
                hasher.add(UnsafeRawBufferPointer(rebasing: piece[..<received]))
                progress(hasher.count)
            }
        }
        return hasher.digest()
    }

    /// Receives exactly `count` bytes and says what came; an earlier end throws.
    func digest(exactly count: Int) throws -> Digest {
        var hasher = Hasher256()
        try withPiece { piece in
            while hasher.count < count {
                let room = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(count - hasher.count, piece.count)])
                let received = try receive(into: room)
                guard received > 0 else { throw SocketError(call: "recv: early end after \(hasher.count)", code: 0) }
                hasher.add(UnsafeRawBufferPointer(rebasing: room[..<received]))
            }
        }
        return hasher.digest()
    }
}
