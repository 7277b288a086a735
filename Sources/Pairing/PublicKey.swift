// The public identity of a device or a server, and its text form.

internal import Codec

/// Why a text is not a public key. The descriptions are meant for people who edit configuration files.
package enum KeyTextError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It does not begin with `owpub-`.
    case wrongPrefix
    /// It begins with `owkey-`: somebody pasted a private key.
    case privateKey
    /// Not 56 characters after the prefix.
    case wrongLength(Int)
    /// A character outside `a-z2-7`.
    case unknownCharacter
    /// The last characters do not fit the rest: a typing mistake.
    case wrongChecksum

    package var description: String {
        switch self {
        case .wrongPrefix: "a public key begins with \"owpub-\""
        case .privateKey: "this is a private key; here belongs the public one, which \"oncewire pubkey\" prints"
        case .wrongLength(let length):
            "a public key has \(Base32.textCount) characters after \"owpub-\", this one has \(length)"
        case .unknownCharacter: "a public key has only the characters a-z and 2-7 after \"owpub-\""
        case .wrongChecksum: "the checksum of this public key is wrong: a character is mistyped or two are swapped"
        }
    }
}

/// An X25519 public key (RFC 7748), 32 bytes, that names a device or a server.
///
/// As text it is `owpub-` and 56 characters: base32 of the key and the first 3 bytes of
/// SHA-256("oncewire public key" || key).
package struct PublicKey: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of a key.
    package static let size = 32

    /// The key, 32 bytes.
    package let bytes: [UInt8]

    /// A key that is known to have 32 bytes; any other count is a defect of the caller.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.size)
        self.bytes = bytes
    }

    /// Reads the text form; nothing around it is skipped.
    package init(text: String) throws(KeyTextError) {
        guard text.hasPrefix(Self.prefix) else {
            throw text.hasPrefix("owkey-") ? .privateKey : .wrongPrefix
        }
        let digits = [UInt8](text.utf8.dropFirst(Self.prefix.utf8.count))
        guard digits.count == Base32.textCount else { throw .wrongLength(digits.count) }
        var decoded = [UInt8](repeating: 0, count: Base32.byteCount)
        let isBase32 = decoded.withUnsafeMutableBytes { decoded in
            digits.withUnsafeBytes { Base32.decode($0, into: decoded) }
        }
        guard isBase32 else { throw .unknownCharacter }
        let key = [UInt8](decoded[..<Self.size])
        guard Self.checksum(key) == [UInt8](decoded[Self.size...]) else { throw .wrongChecksum }
        self.init(bytes: key)
    }

    /// The text form, 62 characters.
    package var text: String {
        var digits = [UInt8](repeating: 0, count: Base32.textCount)
        digits.withUnsafeMutableBytes { digits in
            (bytes + Self.checksum(bytes)).withUnsafeBytes { Base32.encode($0, into: digits) }
        }
        return Self.prefix + String(decoding: digits, as: UTF8.self)
    }

    /// The text form.
    package var description: String { text }

    private static let prefix = "owpub-"

    private static func checksum(_ key: [UInt8]) -> [UInt8] {
        [UInt8](SHA256.hash([UInt8]("oncewire public key".utf8), key)[..<3])
    }
}
