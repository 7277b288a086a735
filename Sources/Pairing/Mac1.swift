// The 16 bytes at the end of PAIR and RESUME that let a server stay silent to strangers before it spends anything.

internal import Codec

/// HMAC-SHA-256 under SHA-256("oncewire/1 mac1" || server public key), first 16 bytes. Proves that the sender knows the
/// server's public key, nothing more.
enum Mac1 {
    static let size = 16

    /// The code of `covered`, all bytes in front of it.
    static func code(of covered: [UInt8], server: PublicKey) -> [UInt8] {
        let key = SHA256.hash([UInt8]("oncewire/1 mac1".utf8), server.bytes)
        return [UInt8](HMAC.authenticate(publicKey: key, covered)[..<size])
    }

    /// Whether a message of `count` bytes ends with the right code. False for any other length.
    static func isValid(_ message: [UInt8], count: Int, server: PublicKey) -> Bool {
        guard message.count == count else { return false }
        let code = code(of: [UInt8](message.dropLast(size)), server: server)
        return constantTimeEqual(code, [UInt8](message.suffix(size)))
    }
}
