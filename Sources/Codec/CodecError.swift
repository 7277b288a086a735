// What can go wrong in this module. Nothing here tells anything about secret values.

/// Why the codec refused. A broken libcrypto (no memory, no AES, no random source) stops the process
/// instead wherever going on could mean sending plaintext or reusing a key.
package enum CodecError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A tag did not verify: the bytes were changed, or the two ends do not hold the same values.
    case notAuthentic
    /// A frame came with a nonce that is not exactly the next one.
    case wrongNonce(expected: UInt64, received: UInt64)
    /// All 2^64 - 1 nonces of this entropy have been used.
    case nonceExhausted
    /// The peer's X25519 key gives the all-zero result (RFC 7748 §6.1).
    case weakPublicKey
    /// An input or a requested output is longer or shorter than its standard allows.
    case lengthOutOfRange
    /// libcrypto failed for a reason of its own.
    case libcrypto

    /// In words, for logs.
    package var description: String {
        switch self {
        case .notAuthentic: "a tag does not verify"
        case .wrongNonce(let expected, let received): "frame \(received) came where \(expected) was due"
        case .nonceExhausted: "all nonces are used up"
        case .weakPublicKey: "an X25519 key gives no secret"
        case .lengthOutOfRange: "a length is out of range"
        case .libcrypto: "libcrypto failed"
        }
    }
}
