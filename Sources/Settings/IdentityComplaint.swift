// Why an identity file cannot be used, and what to do about it. Pure functions.

internal import Pairing

enum IdentityComplaint {
    static func about(_ error: IdentityFileError, path: String) -> Complaint {
        let file = quoted(path)
        return Complaint("identity \(file): \(error)", "make one with: oncewire keygen --identity \(path)")
    }
}
