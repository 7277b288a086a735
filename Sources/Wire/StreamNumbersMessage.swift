// The plaintexts of WITHDRAW and WITHDRAWN: stream numbers, 8 bytes each, one after the other.

/// The numbers of streams that a client gives up (WITHDRAW), or those of them that the server had begun (WITHDRAWN).
package struct StreamNumbersMessage: Equatable, Sendable {
    /// The most that one message holds.
    package static let most = 64

    /// The stream numbers, each as in its OPEN.
    package let numbers: [UInt64]

    /// Holds `numbers`, ``most`` at most.
    package init(_ numbers: [UInt64]) {
        precondition(numbers.count <= Self.most)
        self.numbers = numbers
    }

    /// Reads a message that fills `bytes` exactly, 0...512 bytes.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        guard Self.isLegal(bytes.count) else {
            throw .wrongLength(expected: bytes.count / 8 * 8, received: bytes.count)
        }
        numbers = (0..<bytes.count / 8).map { bytes.bigEndian(at: $0 * 8) }
    }

    /// Bytes ``write(to:)`` writes, 8 for each number.
    package var encodedCount: Int { numbers.count * 8 }

    /// Writes ``encodedCount`` bytes.
    package func write(to destination: UnsafeMutableRawPointer) {
        for (index, number) in numbers.enumerated() { destination.storeBigEndian(number, at: index * 8) }
    }

    static func isLegal(_ length: Int) -> Bool { 0...most * 8 ~= length && length % 8 == 0 }
}
