// Stands in for the primitives until the codec branch is merged, which deletes this file. Unlocked memory.
internal import COpenSSL

package struct Secret: ~Copyable, @unchecked Sendable {
    package let count: Int
    private let memory: UnsafeMutableRawBufferPointer
    package init(count: Int) {
        self.count = count
        memory = .allocate(byteCount: count, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
    }
    package init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        memory.copyMemory(from: bytes)
    }
    package static func random(count: Int) -> Secret {
        let secret = Secret(count: count)
        RAND_priv_bytes(secret.memory.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(count))
        return secret
    }
    package func withUnsafeBytes<R: ~Copyable, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R
    {
        try body(UnsafeRawBufferPointer(memory))
    }
    package func withUnsafeMutableBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R { try body(memory) }
    package func slice(_ range: Range<Int>) -> Secret {
        Secret(copying: UnsafeRawBufferPointer(rebasing: memory[range]))
    }
    deinit { memory.deallocate() }
}

package enum SHA256 {
    package static func hash(_ parts: [UInt8]...) -> [UInt8] { hash(all: parts.flatMap { $0 }) }
    package static func hash(_ prefix: [UInt8], _ secret: borrowing Secret) -> [UInt8] {
        secret.withUnsafeBytes { hash(all: prefix + $0) }
    }
    private static func hash(all: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_Digest(all, all.count, &digest, nil, EVP_sha256(), nil)
        return digest
    }
}

package enum X25519 {
    package struct PrivateKey: ~Copyable, Sendable {
        let raw: Secret
        package init() { raw = Secret.random(count: 32) }
        package init(_ raw: consuming Secret) { self.raw = raw }
        package var publicKey: [UInt8] {
            let key = raw.withUnsafeBytes {
                EVP_PKEY_new_raw_private_key(
                    EVP_PKEY_X25519, nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), 32)
            }
            var bytes = [UInt8](repeating: 0, count: 32)
            var count = 32
            EVP_PKEY_get_raw_public_key(key, &bytes, &count)
            EVP_PKEY_free(key)
            return bytes
        }
        package func withUnsafeBytes<R: ~Copyable, E: Error>(
            _ body: (UnsafeRawBufferPointer) throws(E) -> R
        ) throws(E) -> R { try raw.withUnsafeBytes(body) }
    }
}
