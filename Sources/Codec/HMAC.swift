// HMAC-SHA-256 (RFC 2104) with its whole state in locked memory, and its two plain uses.

import CLinux
import COpenSSL

/// HMAC-SHA-256. The results are not secret: they are sent or compared.
package enum HMAC {
    /// The 32-byte code of all parts, one after the other.
    package static func authenticate(key: borrowing Secret, _ parts: [UInt8]...) -> [UInt8] {
        key.withUnsafeBytes { code(key: $0, parts) }
    }

    /// The same under a key that everybody may know, such as a hash of the server's public key. The code then proves
    /// knowledge of a name, not of a secret.
    package static func authenticate(publicKey: [UInt8], _ parts: [UInt8]...) -> [UInt8] {
        publicKey.withUnsafeBytes { code(key: $0, parts) }
    }

    private static func code(key: UnsafeRawBufferPointer, _ parts: [[UInt8]]) -> [UInt8] {
        let state = HMACState()
        state.start(key: key)
        for part in parts { part.withUnsafeBytes { state.update($0) } }
        return [UInt8](unsafeUninitializedCapacity: 32) { buffer, initialized in
            state.finish(into: UnsafeMutableRawPointer(buffer.baseAddress!))
            initialized = 32
        }
    }
}

/// A running HMAC-SHA-256, reusable, in one locked slot of 512 bytes that is wiped with it.
struct HMACState: ~Copyable {
    private let memory = Secret(count: 2 * Self.contextSize + 64)
    private static let contextSize = MemoryLayout<SHA256_CTX>.stride

    /// Begins a new code; the key may have any length.
    func start(key: UnsafeRawBufferPointer) {
        withContexts { inner, outer, block in
            ow_wipe(block, 64)
            if key.count > 64 {
                SHA256_Init(inner)
                SHA256_Update(inner, key.baseAddress, key.count)
                SHA256_Final(block.assumingMemoryBound(to: UInt8.self), inner)
            } else if let bytes = key.baseAddress {
                block.copyMemory(from: bytes, byteCount: key.count)
            }
            begin(inner, block, pad: 0x36)
            begin(outer, block, pad: 0x36 ^ 0x5c)
            ow_wipe(block, 64)
        }
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        withContexts { inner, _, _ in _ = SHA256_Update(inner, bytes.baseAddress, bytes.count) }
    }

    /// Writes the 32 bytes of the code and wipes the state; `start` comes next.
    func finish(into result: UnsafeMutableRawPointer) {
        withContexts { inner, outer, block in
            SHA256_Final(block.assumingMemoryBound(to: UInt8.self), inner)
            SHA256_Update(outer, block, 32)
            SHA256_Final(result.assumingMemoryBound(to: UInt8.self), outer)
        }
        memory.withUnsafeMutableBytes { ow_wipe($0.baseAddress, $0.count) }
    }

    /// `block` is key ^ what an earlier call left in it, so the second call passes 0x36 ^ 0x5c.
    private func begin(_ context: UnsafeMutablePointer<SHA256_CTX>, _ block: UnsafeMutableRawPointer, pad: UInt8) {
        for index in 0..<64 {
            block.storeBytes(
                of: block.load(fromByteOffset: index, as: UInt8.self) ^ pad, toByteOffset: index, as: UInt8.self)
        }
        SHA256_Init(context)
        SHA256_Update(context, block, 64)
    }

    private func withContexts(
        _ body: (
            _ inner: UnsafeMutablePointer<SHA256_CTX>, _ outer: UnsafeMutablePointer<SHA256_CTX>,
            _ block: UnsafeMutableRawPointer
        ) -> Void
    ) {
        memory.withUnsafeMutableBytes { bytes in
            let base = bytes.baseAddress!
            let contexts = base.assumingMemoryBound(to: SHA256_CTX.self)
            body(contexts, contexts + 1, base + 2 * Self.contextSize)
        }
    }
}
