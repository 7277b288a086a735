// Integers in network order: how every field of the protocol is read and written.

extension UnsafeRawBufferPointer {
    /// The big-endian integer at `offset`. The caller has checked that it lies within the buffer.
    func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
        precondition(offset >= 0 && offset + MemoryLayout<T>.size <= count)
        return T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension UnsafeMutableRawPointer {
    /// Writes `value` big-endian at `offset`, `MemoryLayout<T>.size` bytes.
    func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }
}

extension [UInt8] {
    /// The big-endian integer at `offset`. The caller has checked that it lies within the array.
    func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
        withUnsafeBytes { $0.bigEndian(at: offset) }
    }

    /// Appends `value` big-endian, `MemoryLayout<T>.size` bytes.
    mutating func append<T: FixedWidthInteger & BitwiseCopyable>(bigEndian value: T) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
