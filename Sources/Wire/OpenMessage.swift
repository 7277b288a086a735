// The plaintext of an OPEN frame, 32 bytes and the service id:
//
//      0               8         12      13     15                31             32
//      +---------------+---------+-------+------+-----------------+--------------+------------------+
//      | stream number | options | family| port | address         | id length n  | service id, n    |
//      +---------------+---------+-------+------+-----------------+--------------+------------------+

/// Begins a stream: asks the server to connect to the configured target of a service.
package struct OpenMessage: Equatable, Sendable {
    /// Unique in its conversation. Later versions name a stream by it when its carrier broke.
    package let streamNumber: UInt64
    /// Where the application connected from.
    package let source: SourceAddress
    /// Which service it wants.
    package let service: ServiceID

    package init(streamNumber: UInt64, source: SourceAddress, service: ServiceID) {
        self.streamNumber = streamNumber
        self.source = source
        self.service = service
    }

    /// Reads a message that fills `bytes` exactly.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard Self.legalSizes.contains(bytes.count) else {
            throw .wrongLength(expected: Self.fixedSize + 1, received: bytes.count)
        }
        streamNumber = bytes.bigEndian(at: 0)
        let options: UInt32 = bytes.bigEndian(at: 8)
        guard options == 0 else { throw .unknownOptions(options) }
        source = try SourceAddress(parsing: bytes, at: 12)
        let idLength = Int(bytes[31])
        guard bytes.count == Self.fixedSize + idLength else {
            throw .wrongLength(expected: Self.fixedSize + idLength, received: bytes.count)
        }
        service = try ServiceID(parsing: UnsafeRawBufferPointer(rebasing: bytes[Self.fixedSize...]))
    }

    /// Bytes ``write(to:)`` writes, 33...95.
    package var encodedCount: Int { Self.fixedSize + service.text.utf8.count }

    /// Writes ``encodedCount`` bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        destination.storeBigEndian(streamNumber, at: 0)
        destination.storeBigEndian(0 as UInt32, at: 8)
        source.write(to: destination + 12)
        destination.storeBigEndian(UInt8(service.text.utf8.count), at: 31)
        var text = service.text
        text.withUTF8 { (destination + Self.fixedSize).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }

    static let fixedSize = 32
    static let legalSizes = fixedSize + 1...fixedSize + ServiceID.maxLength
}
