// Text of a configuration to values that both sides have: addresses, service names, keys, identities.

internal import Pairing
internal import Wire

/// What both sides need to turn text into values: where relative paths start and where problems go.
struct Surroundings {
    /// The directory of the configuration file, as an absolute path.
    let directory: String
    let findings: Findings

    /// One address; port 0 is legal only where the kernel may choose one.
    func address(_ node: Node, path: String, allowsPortZero: Bool) -> Address? {
        let form = "an address (HOST:PORT, \"[IPV6]:PORT\" or unix:/PATH)"
        guard let text = node.text(path: path, form: form, findings) else { return nil }
        do throws(Complaint) {
            let address = try Address(text).resolved(against: directory)
            if case .tcp(_, port: 0) = address, !allowsPortZero {
                throw Complaint("\(quoted(text)) has port 0", "name the port to connect to, from 1 to 65535")
            }
            return address
        } catch {
            findings.report(node.mark, Complaint("\(path): \(error.message)", error.hint))
            return nil
        }
    }

    /// One address to listen on or a list of at least one.
    func listeners(_ node: Node, path: String) -> [Located<Address>] {
        guard let items = node.items(path: path, form: "an address or a list of addresses", findings) else { return [] }
        if items.isEmpty {
            findings.report(node.mark, "\(path) is an empty list", "give at least one address to listen on")
        }
        return items.compactMap { item in
            address(item, path: path, allowsPortZero: true).map { Located(value: $0, mark: item.mark) }
        }
    }

    /// A service's name.
    func serviceID(_ text: String, at mark: Mark) -> ServiceID? {
        guard let id = ServiceID(text), !looksLikeKey(text) else {
            findings.report(
                mark, "\(quoted(text)) is not a service name",
                "use 1 to 63 of a-z, 0-9, dot, hyphen and underscore, a letter or digit first")
            return nil
        }
        return id
    }

    func publicKey(_ node: Node, path: String, ofWhom owner: String) -> PublicKey? {
        let form = "a public key (owpub-…)"
        guard let text = node.text(path: path, form: form, findings) else { return nil }
        do throws(KeyTextError) {
            return try PublicKey(text: text)
        } catch .privateKey {
            findings.report(
                node.mark, "\(path) is a private key",
                "put the public key here (oncewire pubkey) and make a new identity, as this one is no longer secret")
        } catch {
            // The text is not repeated: it may be a private key that lost its prefix.
            findings.report(
                node.mark, "\(path): \(error)", "copy all that oncewire pubkey prints on \(owner)")
        }
        return nil
    }

    /// The identity in the file that `node` names, and that file's absolute path.
    func identity(_ node: Node) -> (identity: Identity, path: String)? {
        guard let text = node.text(path: "identity", form: "the path of an identity file", findings) else { return nil }
        guard !looksLikeKey(text), !text.isEmpty else {
            findings.report(
                node.mark, "identity is \(text.isEmpty ? "empty" : "a key"), not the path of an identity file",
                "make one with: oncewire keygen --identity FILE, and write FILE here")
            return nil
        }
        let path = absolutePath(text, in: directory)
        do throws(IdentityFileError) {
            return (try Identity.load(path: path), path)
        } catch {
            findings.report(node.mark, "\(error)", nil)
            return nil
        }
    }
}

/// A value and where it was given.
struct Located<Value> {
    let value: Value
    let mark: Mark
}
