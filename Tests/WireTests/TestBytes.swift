// Messages as arrays, and bytes that look like noise.

import Wire

/// What a message writes.
func written(_ count: Int, _ write: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    // Room on both sides shows a write outside the message's own bytes.
    var bytes = [UInt8](repeating: 0xA5, count: count + 32)
    bytes.withUnsafeMutableBytes { write($0.baseAddress! + 16) }
    precondition(bytes.prefix(16).allSatisfy { $0 == 0xA5 } && bytes.suffix(16).allSatisfy { $0 == 0xA5 })
    return [UInt8](bytes[16..<16 + count])
}

extension FrameHeader {
    init(_ bytes: [UInt8]) throws(WireError) {
        precondition(bytes.count == 16)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try FrameHeader(parsing: bytes.baseAddress!) }
        }
        self = try result.get()
    }

    var bytes: [UInt8] { written(16, write(to:)) }
}

extension OpenMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try OpenMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

extension FinMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try FinMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

extension ReasonMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try ReasonMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

extension RekeyMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try RekeyMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

extension RecordHeader {
    init(_ bytes: [UInt8], at offset: Int = 0) throws(WireError) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try RecordHeader(parsing: bytes, at: offset) }
        }
        self = try result.get()
    }

    var bytes: [UInt8] { written(RecordHeader.size, write(to:)) }
}

extension CreditMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try CreditMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

extension MoveMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try MoveMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

extension MovedMessage {
    init(_ bytes: [UInt8]) throws { self = try bytes.withUnsafeBytes { try MovedMessage(parsing: $0) } }
    var bytes: [UInt8] { written(encodedCount, write(to:)) }
}

/// A deterministic generator (splitmix64), so that a failing case can be run again.
struct Noise: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
}
