// The name of a conversation in RESUME, and how a server recognises the names it gave out without looking them up.

internal import Codec

/// 16 bytes: 12 random ones and 4 of HMAC-SHA-256 over them, under a key only the server has.
package struct ConversationID: Hashable, Sendable {
    /// Bytes of an id.
    package static let size = 16

    /// The bytes as a number, most significant first. An id is looked up and compared for every stream, and a number
    /// needs no memory of its own.
    private let value: UInt128

    /// The id, 16 bytes.
    package var bytes: [UInt8] { withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) } }

    /// An id that is known to have 16 bytes; any other count is a defect of the caller.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.size)
        value = bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }
}

/// Makes and recognises the ids of one server. The key comes from its identity, so that ids keep being recognised
/// after a restart.
package final class ConversationIDMint: Sendable {
    private static let randomSize = 12
    private let key: Secret

    /// The mint of the server with this identity.
    package init(_ identity: Identity) {
        key = identity.privateKey.withSecret { privateKey in
            do {
                return try HKDF.derive(
                    salt: [], ikm: privateKey, info: [UInt8]("oncewire/1 conversation id".utf8), count: 32)
            } catch {
                // 32 bytes are within what HKDF can derive.
                preconditionFailure("HKDF failed: \(error)")
            }
        }
    }

    /// A fresh id.
    package func mint() -> ConversationID {
        let random = RandomBytes.bytes(Self.randomSize)
        return ConversationID(bytes: random + code(of: random))
    }

    /// Whether this server made `id`; constant time. Made-up ids pass once in 2^32 tries and then are unknown.
    package func isOurs(_ id: ConversationID) -> Bool {
        let bytes = id.bytes
        return constantTimeEqual(code(of: [UInt8](bytes[..<Self.randomSize])), [UInt8](bytes[Self.randomSize...]))
    }

    private func code(of random: [UInt8]) -> [UInt8] {
        [UInt8](HMAC.authenticate(key: key, random)[..<(ConversationID.size - Self.randomSize)])
    }
}
