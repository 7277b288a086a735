// Into locked memory from where protocol fields are.

internal import Codec

extension Secret {
    /// A copy of bytes that are public, or whose original the caller drops.
    init(copying bytes: [UInt8]) {
        self.init(count: bytes.count)
        withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
    }
}
