// ML-KEM-768 (FIPS 203), the one primitive that Debian 12's libcrypto lacks. This file is the only one that touches
// swift-crypto, whose interface needs Data; the shared secret is moved into locked memory at once.

internal import Codec
internal import Crypto
internal import FoundationEssentials

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

    /// A private key for one handshake.
    struct DecapsulationKey: Sendable {
        private let key: MLKEM768.PrivateKey

        /// A new random key.
        init() throws(KEMError) {
            do { key = try MLKEM768.PrivateKey() } catch { throw .failed }
        }

        /// The key for a seed of 64 bytes, d || z: for known answers.
        init(seed: [UInt8]) throws(KEMError) {
            do { key = try MLKEM768.PrivateKey(seedRepresentation: seed, publicKey: nil) } catch { throw .failed }
        }

        /// The public half, 1184 bytes.
        var encapsulationKey: [UInt8] { [UInt8](key.publicKey.rawRepresentation) }

        /// The shared secret in a ciphertext of 1088 bytes; 32 bytes.
        func decapsulate(_ ciphertext: [UInt8]) throws(KEMError) -> Secret {
            guard ciphertext.count == ciphertextSize else { throw .invalidCiphertext }
            let shared: SymmetricKey
            do { shared = try key.decapsulate(ciphertext) } catch { throw .failed }
            return Secret(shared)
        }
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
        let key: MLKEM768.PublicKey
        do { key = try MLKEM768.PublicKey(rawRepresentation: encapsulationKey) } catch {
            throw .invalidEncapsulationKey
        }
        do {
            let result = try key.encapsulate()
            return Encapsulation(
                ciphertext: [UInt8](result.encapsulated),
                sharedSecret: Secret(result.sharedSecret))
        } catch { throw .failed }
    }
}

extension Secret {
    /// A copy of a key of swift-crypto, which wipes its own when it is dropped.
    fileprivate init(_ key: SymmetricKey) {
        self.init(count: key.bitCount / 8)
        withUnsafeMutableBytes { own in key.withUnsafeBytes { own.copyMemory(from: $0) } }
    }
}
