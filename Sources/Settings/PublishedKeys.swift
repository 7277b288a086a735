// Keys that everybody can read: those of the examples and of the protocol's test vectors. Pure values.

internal import Pairing

/// Keys of no real device or server.
enum PublishedKeys {
    /// What an example's key is called in messages; nil for any other key. Nobody has the private halves of the
    /// examples' keys, and everybody those of the vectors.
    static func name(of key: PublicKey) -> String? {
        if examples.contains(key.text) { return "the key of an example" }
        if vectors.contains(key.text) { return "a key of the published test vectors" }
        return nil
    }

    /// In `config/`, the README and the reference.
    private static let examples: Set<String> = [
        "owpub-3jj2ch4imdh4xtz4pexkqxqjjlowxxqbyijiie36ef22y66r7edd5dig",
        "owpub-edypdr47gdjvxf3kh4qcijthv3nq2nnnd2ut6d5dk6b5luujzzs3lcnb",
    ]

    /// Of a device and a server.
    private static let vectors: Set<String> = [
        "owpub-5d47rmeahrdljlrieye3r7wmdek4vnpkj3crj4ogoc245qwxrmnk3enf",
        "owpub-5pw7tqdt7cvs6xo6sxmdy3yjei3lrrsiwebrtnkss32x5kioiqwsjxtx",
    ]
}
