// The static X25519 key pair of a device or a server.

package import Codec

/// A device's or server's long-term identity. The private half stays in locked memory and leaves it only for the
/// moments it is used, or into a file nobody else can read.
package final class Identity: Sendable {
    /// The half that the peer is configured with.
    package let publicKey: PublicKey

    /// The X25519 private key, for key agreement within this module.
    let privateKey: X25519.PrivateKey

    /// Takes over a private key.
    package init(privateKey: consuming X25519.PrivateKey) {
        publicKey = PublicKey(bytes: privateKey.publicKey)
        self.privateKey = privateKey
    }

    /// A new random identity.
    package static func generate() -> Identity {
        Identity(privateKey: X25519.PrivateKey())
    }

    /// Reads the identity file at `path`: a regular file of at most 4096 bytes, of root or this process's user, that
    /// nobody else has any right to. It has comment lines (`#`) and one line of `owkey-` and 56 characters. Symbolic
    /// links are followed.
    package static func load(path: String) throws(IdentityFileError) -> Identity {
        Identity(privateKey: X25519.PrivateKey(try IdentityFile.read(path: path)))
    }

    /// The public key of the identity file at `path`, which root may ask for, whatever user owns the file.
    package static func publicKey(path: String) throws(IdentityFileError) -> PublicKey {
        Identity(privateKey: X25519.PrivateKey(try IdentityFile.read(path: path, ofAnyOwner: true))).publicKey
    }

    /// Writes the identity to a new file at `path`, mode 0600, and waits until it and its name are on disk. Never
    /// overwrites anything; on failure no file is left.
    package func save(path: String) throws(IdentityFileError) {
        try IdentityFile.write(privateKey, publicKey: publicKey, path: path)
    }
}
