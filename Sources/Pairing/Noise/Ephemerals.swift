// The keys one end makes for one handshake.

internal import Codec

/// Fresh keys of one end. Only known-answer tests choose them.
struct Ephemerals: ~Copyable, Sendable {
    /// The `e` key.
    let dh: X25519.PrivateKey
    /// The `e1` key, on the end that sends one.
    let kem: KEM.DecapsulationKey?
    /// Makes `ekem1` for the 1184-byte key of the other end.
    let encapsulate: @Sendable (_ encapsulationKey: [UInt8]) throws(KEMError) -> KEM.Encapsulation

    init(
        dh: consuming X25519.PrivateKey = X25519.PrivateKey(), kem: KEM.DecapsulationKey? = nil,
        encapsulate: @escaping @Sendable ([UInt8]) throws(KEMError) -> KEM.Encapsulation = { (key) throws(KEMError) in
            try KEM.encapsulate(to: key)
        }
    ) {
        self.dh = dh
        self.kem = kem
        self.encapsulate = encapsulate
    }
}
