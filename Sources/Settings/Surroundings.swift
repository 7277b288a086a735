// Text of a configuration to values that both sides have: addresses, service names, keys, identities.

internal import Pairing
internal import Wire

/// What both sides need to turn text into values: where relative paths start and where problems go.
struct Surroundings {
    /// The directory of the configuration file, as an absolute path.
    let directory: String
    let findings: Findings

    /// One address; port 0 is legal only where the kernel may choose one, and what listens makes its own socket.
    func address(_ node: Node, path: String, listens: Bool) -> Address? {
        let form = "an address (HOST:PORT, \"[IPV6]:PORT\" or unix:/PATH)"
        guard let text = node.text(path: path, form: form, findings) else { return nil }
        do throws(Complaint) {
            let address = try Address(text).resolved(against: directory)
            if case .tcp(_, port: 0) = address, !listens {
                throw Complaint("\(quoted(text)) has port 0", "name the port to connect to, from 1 to 65535")
            }
            if case .unix(let place) = address, let kind = FileBytes.kind(of: place, followingLinks: !listens) {
                let what = "\(quoted(text)) is \(kind) and not a socket"
                guard listens else { throw Complaint(what, "give the path of the socket that the other program made") }
                // It may be gone when the daemon starts; if not, the daemon spares it and says the same.
                findings.warn(
                    node.mark, "\(path): \(what)", "choose a path where nothing is: the socket is made there")
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
            address(item, path: path, listens: true).map { Located(value: $0, mark: item.mark) }
        }
    }

    /// A service's name.
    func serviceID(_ text: String, at mark: Mark) -> ServiceID? {
        guard let id = ServiceID(text), !looksLikeKey(text) else {
            findings.report(
                mark, "\(quoted(text)) is not a service name",
                text == "*"
                    ? "there is no wildcard: list every service by the name it has on both sides"
                    : "use 1 to 63 of a-z, 0-9, dot, hyphen and underscore, a letter or digit first")
            return nil
        }
        return id
    }

    func publicKey(_ node: Node, path: String, ofWhom owner: String) -> PublicKey? {
        let form = "a public key (owpub-…)"
        guard let text = node.text(path: path, form: form, findings) else { return nil }
        guard !text.contains("…"), !text.contains("..."), !text.contains("("), !text.contains("<") else {
            // Such a text is no key, but may have lost a part of one in it: it is not repeated.
            findings.report(
                node.mark, "\(path) is a placeholder", "copy all that oncewire pubkey prints on \(owner)")
            return nil
        }
        do throws(KeyTextError) {
            let key = try PublicKey(text: text)
            guard let name = PublishedKeys.name(of: key) else { return key }
            findings.report(
                node.mark, "\(path) is \(name), not one of yours", "copy what oncewire pubkey prints on \(owner)")
            return nil
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
        if let complaint = shellsWork(text, in: text, such: "/etc/oncewire/server.key") {
            findings.report(node.mark, Complaint("identity \(complaint.message)", complaint.hint))
            return nil
        }
        let path = absolutePath(text, in: directory)
        do throws(IdentityFileError) {
            let identity = try Identity.load(path: path)
            guard let name = PublishedKeys.name(of: identity.publicKey) else { return (identity, path) }
            findings.report(
                node.mark, "the private key in \(path) belongs to \(name): everybody has it",
                "make one of your own with: oncewire keygen --identity FILE")
        } catch {
            findings.report(node.mark, "\(error)", nil)
        }
        return nil
    }
}

/// A value and where it was given.
struct Located<Value> {
    let value: Value
    let mark: Mark
}
