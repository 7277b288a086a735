// The one type that holds secret bytes.

import COpenSSL

/// A fixed number of secret bytes in locked memory: never swapped out, in no core dump, zero in a forked child. They
/// are wiped when the owner ends, and have no description. It cannot be copied by accident: `copy()` is a word one
/// can search for.
package struct Secret: ~Copyable, @unchecked Sendable {
    /// How many bytes it holds; 0 is allowed.
    package let count: Int
    private let base: UnsafeMutableRawPointer

    /// The first byte, for those in this module that keep the secret and its address together.
    var address: UnsafeMutableRawPointer { base }

    /// `count` zero bytes.
    package init(count: Int) {
        precondition(count >= 0, "a secret of negative length")
        self.count = count
        base = SecretArena.shared.allocate(count)
    }

    /// A copy of `bytes`; wiping the original is the caller's duty.
    package init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    }

    deinit { SecretArena.shared.release(base, count) }

    /// `count` bytes of libcrypto's generator for private values. Stops the process if that fails:
    /// there is nothing sensible to do without randomness.
    package static func random(count: Int) -> Secret {
        let secret = Secret(count: count)
        secret.withUnsafeMutableBytes { bytes in
            guard RAND_priv_bytes(bytes.baseAddress, Int32(bytes.count)) == 1 else {
                fatalError("libcrypto has no random bytes to give")
            }
        }
        return secret
    }

    /// Lends the bytes for the length of `body`. The pointer must not leave it.
    package func withUnsafeBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Lends the bytes for writing for the length of `body`. Does not need `mutating`, but needs the
    /// owner to be the only one who uses the secret meanwhile.
    package func withUnsafeMutableBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeMutableRawBufferPointer(start: base, count: count))
    }

    /// A second secret with the same bytes.
    package func copy() -> Secret { slice(0..<count) }

    /// A new secret with the bytes of `range`, which must lie in `0..<count`.
    package func slice(_ range: Range<Int>) -> Secret {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "a slice outside its secret")
        return withUnsafeBytes { Secret(copying: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// `a || b`
    package static func joined(_ a: borrowing Secret, _ b: borrowing Secret) -> Secret {
        let whole = Secret(count: a.count + b.count)
        whole.write(a, at: 0)
        whole.write(b, at: a.count)
        return whole
    }

    /// `a || b || c`
    package static func joined(_ a: borrowing Secret, _ b: borrowing Secret, _ c: borrowing Secret) -> Secret {
        joined(joined(a, b), c)
    }

    /// `a || b || c || d`
    package static func joined(
        _ a: borrowing Secret, _ b: borrowing Secret, _ c: borrowing Secret, _ d: borrowing Secret
    ) -> Secret {
        joined(joined(a, b), joined(c, d))
    }

    /// Bytes of secrets at present in memory that the kernel refused to lock because RLIMIT_MEMLOCK is
    /// reached. Such memory can be swapped out; everything else holds for it too.
    package static var unlockedBytes: Int { SecretArena.shared.unlockedBytes }

    private func write(_ part: borrowing Secret, at offset: Int) {
        part.withUnsafeBytes { source in
            withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[offset...]).copyMemory(from: source) }
        }
    }
}
