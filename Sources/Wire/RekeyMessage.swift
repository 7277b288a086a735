// The plaintext of a REKEY frame: a step byte, in steps 1 and 2 followed by an X25519 public key.

/// One step of a new key agreement within a carrier.
package enum RekeyMessage: Equatable, Sendable {
    /// Step 1, 33 bytes: the asking end's ephemeral X25519 public key, 32 bytes.
    case offer([UInt8])
    /// Step 2, 33 bytes: the other end's. It is the last frame under the old entropy in its direction.
    case answer([UInt8])
    /// Step 3, 1 byte: the last frame of the asking end under the old entropy.
    case done

    /// Bytes of step 3.
    package static let stepSize = 1
    /// Bytes of steps 1 and 2.
    package static let keyStepSize = 1 + 32

    /// Reads a message that fills `bytes` exactly. Throws ``WireError/malformedRekey``.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(WireError) {
        switch (bytes.first, bytes.count) {
        case (1, Self.keyStepSize): self = .offer([UInt8](bytes[1...]))
        case (2, Self.keyStepSize): self = .answer([UInt8](bytes[1...]))
        case (3, Self.stepSize): self = .done
        default: throw .malformedRekey
        }
    }

    /// Bytes ``write(to:)`` writes, 33 or 1.
    package var encodedCount: Int {
        switch self {
        case .offer, .answer: Self.keyStepSize
        case .done: Self.stepSize
        }
    }

    /// Writes ``encodedCount`` bytes. A key that is not 32 bytes long is a defect of the caller.
    package func write(to destination: UnsafeMutableRawPointer) {
        let (step, key): (UInt8, [UInt8]) =
            switch self {
            case .offer(let key): (1, key)
            case .answer(let key): (2, key)
            case .done: (3, [])
            }
        precondition(key.count == encodedCount - 1)
        destination.storeBigEndian(step, at: 0)
        key.withUnsafeBytes {
            (destination + 1).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(destination), byteCount: $0.count)
        }
    }
}
