// What can be wrong with an identity file, in words that tell what to do about it.

internal import Glibc

/// Why an identity could not be read from a file or written to one. Always local: configuration or file system.
package enum IdentityFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no such file.
    case missing(path: String)
    /// The file cannot be opened or read; `code` is errno.
    case unreadable(path: String, code: Int32)
    /// A directory, device, socket or pipe.
    case notARegularFile(path: String)
    /// The file belongs to a user that is neither root nor `user`, who uses it.
    case foreignOwner(path: String, owner: UInt32, user: UInt32)
    /// An access control list gives somebody else, `with`, a right to the file.
    case sharedByList(path: String, with: String)
    /// Group or others have some right to the file; `mode` is its permission bits.
    case accessibleToOthers(path: String, mode: UInt32)
    /// More bytes than an identity file can have.
    case tooLarge(path: String)
    /// Not exactly one line with a private key; `problem` is what was found instead.
    case malformed(path: String, problem: Problem)
    /// The key's checksum does not fit: it was damaged or edited.
    case wrongChecksum(path: String)
    /// Something exists at this path and is not overwritten.
    case alreadyExists(path: String)
    /// The file cannot be created or written; `code` is errno. Nothing is left.
    case unwritable(path: String, code: Int32)

    /// What is wrong with the content of a file.
    package enum Problem: Sendable, Equatable {
        case noKey, severalKeys, publicKey, wrongLength, unknownCharacter
        /// The number of a line, from 1, that is neither a comment nor a key.
        case unknownLine(Int)
    }

    package var description: String {
        switch self {
        case .missing(let path):
            "there is no identity file \(path) (make one with: oncewire keygen --identity \(path))"
        case .unreadable(let path, let code):
            "identity file \(path) cannot be read: \(Self.text(code)) (let the user the daemon runs as own it, mode 0600)"
        case .notARegularFile(let path):
            "identity \(path) is not a regular file (give the path of a file that oncewire keygen made)"
        case .foreignOwner(let path, let owner, let user):
            "identity file \(path) belongs to user \(owner), and user \(user), who is to use it, trusts only root and itself ("
                + (user == 0 ? "run this as the daemon's user: runuser -u NAME -- …" : "run: chown \(user) \(path)")
                + ")"
        case .sharedByList(let path, let other):
            "identity file \(path) is open to \(other) by its access control list (run: setfacl -b \(path); chmod 600 "
                + "\(path); if others may have read it, make a new one)"
        case .accessibleToOthers(let path, let mode):
            "identity file \(path) is open to others, mode 0\(String(mode, radix: 8)) (run: chmod 600 \(path); if others may "
                + "have read it, make a new one)"
        case .tooLarge(let path):
            "identity file \(path) is too large to be one (give the path of a file that oncewire keygen made)"
        case .malformed(let path, let problem):
            "identity file \(path) \(problem.text)"
        case .wrongChecksum(let path):
            "the private key in \(path) is damaged: its checksum is wrong (restore the file from a copy, or make a new one "
                + "with oncewire keygen)"
        case .alreadyExists(let path):
            "\(path) exists already and is not overwritten (choose another path, or move the old file away)"
        case .unwritable(let path, let code):
            "identity file \(path) cannot be written: \(Self.text(code)) (choose a directory you may write to)"
        }
    }

    private static func text(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        // The buffer's last byte stays zero; glibc's XSI form returns 0 or an error number.
        guard strerror_r(code, &buffer, buffer.count - 1) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension IdentityFileError.Problem {
    fileprivate var text: String {
        switch self {
        case .noKey: "has no line with a private key, \"owkey-…\" (make a new one with oncewire keygen)"
        case .severalKeys: "has more than one private key (keep one per file)"
        case .publicKey: "holds a public key (give the path of the private file that oncewire keygen made)"
        case .unknownLine(let line): "has something else than comments and one private key in line \(line) (remove it)"
        case .wrongLength: "has a private key of the wrong length (restore it from a copy, or make a new one)"
        case .unknownCharacter:
            "has a character that no private key has, outside a-z and 2-7 (restore it from a copy, or make a new one)"
        }
    }
}
