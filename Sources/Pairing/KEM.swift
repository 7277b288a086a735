// ML-KEM-768 (FIPS 203), the one primitive that Debian 12's libcrypto lacks, by swift-crypto's C library. The private
// key lies in locked memory from its making to its end.

internal import CSwiftCrypto
internal import Codec

/// What can go wrong with ML-KEM.
enum KEMError: Error, Equatable {
    /// The peer's encapsulation key has the wrong length or coefficients that are not reduced modulo q
    /// (FIPS 203 §7.2).
    case invalidEncapsulationKey
    /// The ciphertext is not 1088 bytes long (FIPS 203 §7.3). Any other ciphertext decapsulates to something.
    case invalidCiphertext
    /// The library failed for a reason of its own.
    case failed
}

enum KEM {
    /// Bytes of an encapsulation key.
    static let encapsulationKeySize = 1184
    /// Bytes of a ciphertext.
    static let ciphertextSize = 1088
    /// Bytes of a shared secret.
    static let sharedSecretSize = 32
    /// Bytes of the seed that a key pair can be made from.
    static let seedSize = 64

    /// A private key for one handshake, wiped when the handshake drops it.
    final class DecapsulationKey: Sendable {
        /// The public half, 1184 bytes.
        let encapsulationKey: [UInt8]
        /// The private key as the library expands it.
        private let key: Secret

        /// A new random key.
        init() {
            let key = Secret(count: ow_mlkem_private_size())
            encapsulationKey = key.withUnsafeMutableBytes { key in
                [UInt8](unsafeUninitializedCapacity: encapsulationKeySize) { bytes, initialized in
                    ow_mlkem_generate(key.baseAddress!, bytes.baseAddress!)
                    initialized = encapsulationKeySize
                }
            }
            self.key = key
        }

        /// The key for a seed of 64 bytes, d || z: for known answers.
        init(seed: [UInt8]) throws(KEMError) {
            guard seed.count == seedSize else { throw .failed }
            let key = Secret(count: ow_mlkem_private_size())
            var bytes = [UInt8](repeating: 0, count: encapsulationKeySize)
            guard key.withUnsafeMutableBytes({ ow_mlkem_from_seed($0.baseAddress!, &bytes, seed) }) else {
                throw .failed
            }
            encapsulationKey = bytes
            self.key = key
        }

        /// The shared secret in a ciphertext of 1088 bytes; 32 bytes.
        func decapsulate(_ ciphertext: [UInt8]) throws(KEMError) -> Secret {
            guard ciphertext.count == ciphertextSize else { throw .invalidCiphertext }
            let shared = Secret(count: sharedSecretSize)
            let isDone = shared.withUnsafeMutableBytes { shared in
                key.withUnsafeBytes { ow_mlkem_decapsulate(shared.baseAddress!, ciphertext, $0.baseAddress!) }
            }
            guard isDone else { throw .failed }
            return shared
        }

        /// Lends the private key for the length of `body`: for the test that looks where it lies.
        func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { key.withUnsafeBytes(body) }
    }

    /// A fresh shared secret and its encrypted form.
    struct Encapsulation: ~Copyable {
        /// 1088 bytes.
        let ciphertext: [UInt8]
        /// 32 bytes.
        let sharedSecret: Secret
    }

    /// A new shared secret for the owner of the 1184-byte `encapsulationKey`, which is checked first.
    static func encapsulate(to encapsulationKey: [UInt8]) throws(KEMError) -> Encapsulation {
        guard encapsulationKey.count == encapsulationKeySize else { throw .invalidEncapsulationKey }
        let shared = Secret(count: sharedSecretSize)
        var ciphertext = [UInt8](repeating: 0, count: ciphertextSize)
        let isKey = shared.withUnsafeMutableBytes {
            ow_mlkem_encapsulate($0.baseAddress!, &ciphertext, encapsulationKey)
        }
        guard isKey else { throw .invalidEncapsulationKey }
        return Encapsulation(ciphertext: ciphertext, sharedSecret: shared)
    }
}
