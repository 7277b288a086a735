// The name of a service, as configured at both ends and carried by OPEN.

/// The id of a service: 1...63 characters of `[a-z0-9._-]`, the first a letter or a digit. It is all a client
/// can say about where a stream goes; host and port are the server's configuration.
package struct ServiceID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The most characters (= bytes) an id has.
    package static let maxLength = 63

    /// The id itself, ASCII.
    package let text: String

    /// Nil if `text` is not a service id.
    package init?(_ text: some StringProtocol) {
        guard Self.isValid(text.utf8) else { return nil }
        self.text = String(text)
    }

    /// Reads an id that fills `bytes`. Throws ``WireError/malformedServiceID``.
    init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard Self.isValid(bytes) else { throw .malformedServiceID }
        text = String(decoding: bytes, as: UTF8.self)
    }

    package var description: String { text }

    package static func < (a: ServiceID, b: ServiceID) -> Bool { a.text < b.text }

    private static func isValid(_ bytes: some Sequence<UInt8>) -> Bool {
        var length = 0
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): break
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): guard length > 0 else { return false }
            default: return false
            }
            length += 1
            guard length <= maxLength else { return false }
        }
        return length > 0
    }
}
