// An identity as a file. The private key passes only through locked memory: no String, no array, no stdio buffer.
//
//      # comment lines
//      owkey-<56 characters: base32 of private key 32 and the first 3 bytes of
//             SHA-256("oncewire private key" || private key)>

internal import CLinux
internal import Codec
internal import Glibc

enum IdentityFile {
    /// The most bytes of an identity file; one that this program wrote has about 200.
    static let maxSize = 4096

    private static let prefix = [UInt8]("owkey-".utf8)
    private static let publicPrefix = [UInt8]("owpub-".utf8)
    private static let checksumSize = 3

    /// The private key in the file at `path`, 32 bytes. The file must be for nobody
    /// but root and this process's user; with `ofAnyOwner`, root may read what is for nobody but its owner.
    /// `credentials` is the directory that systemd made for this process.
    static func read(
        path: String, ofAnyOwner: Bool = false, credentials: String? = IdentityFileAccess.credentials
    ) throws(IdentityFileError) -> Secret {
        // O_NONBLOCK: opening a pipe must not wait for a writer.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard file >= 0 else {
            let code = errno
            throw code == ENOENT ? .missing(path: path) : .unreadable(path: path, code: code)
        }
        defer { close(file) }

        var status = stat()
        guard fstat(file, &status) == 0 else { throw .unreadable(path: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
        let user = ofAnyOwner && geteuid() == 0 ? status.st_uid : geteuid()
        try IdentityFileAccess.check(file, status, user: user, credentials: credentials, path: path)

        // One byte more than allowed shows a file that is too large, whatever fstat gave.
        let content = Secret(count: maxSize + 1)
        let count = try content.withUnsafeMutableBytes { buffer throws(IdentityFileError) in
            try fill(buffer, from: file, path: path)
        }
        guard count <= maxSize else { throw .tooLarge(path: path) }
        return try content.withUnsafeBytes { bytes throws(IdentityFileError) in
            try privateKey(in: UnsafeRawBufferPointer(rebasing: bytes[..<count]), path: path)
        }
    }

    /// Writes a new file: complete and on disk, name included, or not at all.
    static func write(
        _ privateKey: borrowing X25519.PrivateKey, publicKey: PublicKey, path: String
    ) throws(IdentityFileError) {
        let content = content(privateKey, publicKey: publicKey)
        let (directory, name) = split(path)
        guard !name.isEmpty else { throw .unwritable(path: path, code: EISDIR) }
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A folder that may be written and not read can be used by its name alone, and not be waited for.
        guard folder >= 0 || errno == EACCES else { throw .unwritable(path: path, code: errno) }
        defer { if folder >= 0 { close(folder) } }

        var status = stat()
        guard lstat(path, &status) != 0 else { throw .alreadyExists(path: path) }
        let code = content.withUnsafeBytes {
            folder >= 0 ? make(name, in: folder, $0) : make(name, in: AT_FDCWD, below: directory + "/", $0)
        }
        guard code == 0 else {
            throw code == EEXIST ? .alreadyExists(path: path) : .unwritable(path: path, code: code)
        }
    }

    /// Makes the file under another name, and gives it its own when it is complete; 0 or errno, and nothing is left
    /// then. Replaces nothing.
    private static func make(
        _ name: String, in folder: Int32, below prefix: String = "", _ content: UnsafeRawBufferPointer
    ) -> Int32 {
        let name = prefix + name
        let temporary = "\(prefix).oncewire-key-\(getpid())-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
        let file = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0o600)
        guard file >= 0 else { return errno }
        var code = writeAll(content, to: file)
        if close(file) != 0, code == 0 { code = errno }
        if code == 0 { code = rename(temporary, to: name, in: folder) }
        guard code == 0 else {
            unlinkat(folder, temporary, 0)
            return code
        }
        // Some file systems cannot be asked to write a directory down (EINVAL).
        guard folder >= 0, fsync(folder) != 0, errno != EINVAL else { return 0 }
        code = errno
        unlinkat(folder, name, 0)
        return code
    }

    /// 0 or errno. Some network file systems cannot rename without replacing, but link.
    private static func rename(_ temporary: String, to name: String, in folder: Int32) -> Int32 {
        if ow_rename_to_new(folder, temporary, name) == 0 { return 0 }
        guard errno == EINVAL || errno == ENOSYS else { return errno }
        guard linkat(folder, temporary, folder, name, 0) == 0 else { return errno }
        unlinkat(folder, temporary, 0)
        return 0
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    // MARK: Text

    /// Finds the one key line of `text` and decodes it.
    private static func privateKey(
        in text: UnsafeRawBufferPointer, path: String
    ) throws(IdentityFileError) -> Secret {
        var key: UnsafeRawBufferPointer?
        var number = 0
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
            let line = trimmed(UnsafeRawBufferPointer(rebasing: text[start..<end]))
            start = end + 1
            number += 1
            if line.isEmpty || line[0] == UInt8(ascii: "#") { continue }
            if line.starts(with: publicPrefix) { throw .malformed(path: path, problem: .publicKey) }
            guard line.starts(with: prefix) else { throw .malformed(path: path, problem: .unknownLine(number)) }
            guard key == nil else { throw .malformed(path: path, problem: .severalKeys) }
            key = UnsafeRawBufferPointer(rebasing: line[prefix.count...])
        }
        guard let key else { throw .malformed(path: path, problem: .noKey) }
        return try decode(key, path: path)
    }

    /// The private key that the 56 characters of `digits` stand for.
    private static func decode(_ digits: UnsafeRawBufferPointer, path: String) throws(IdentityFileError) -> Secret {
        guard digits.count == Base32.textCount else { throw .malformed(path: path, problem: .wrongLength) }
        let decoded = Secret(count: Base32.byteCount)
        guard decoded.withUnsafeMutableBytes({ Base32.decode(digits, into: $0) }) else {
            throw .malformed(path: path, problem: .unknownCharacter)
        }
        let key = decoded.slice(0..<PublicKey.size)
        let isIntact = decoded.withUnsafeBytes { decoded in
            checksum(key).elementsEqual(decoded[PublicKey.size...])
        }
        guard isIntact else { throw .wrongChecksum(path: path) }
        return key
    }

    /// The whole file for `privateKey`.
    static func content(_ privateKey: borrowing X25519.PrivateKey, publicKey: PublicKey) -> Secret {
        let comment = [UInt8](
            """
            # Oncewire private key. Whoever has it can pose as this device or server: it stays here, mode 0600.
            # The public key, for the other side's configuration:
            # \(publicKey.text)

            """.utf8)
        let decoded = Secret(count: Base32.byteCount)
        let content = Secret(count: comment.count + prefix.count + Base32.textCount + 1)
        let key = privateKey.withUnsafeBytes { Secret(copying: $0) }
        decoded.withUnsafeMutableBytes { decoded in
            key.withUnsafeBytes { decoded.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: decoded[PublicKey.size...]).copyBytes(from: checksum(key))
        }
        content.withUnsafeMutableBytes { content in
            content.copyBytes(from: comment + prefix)
            let digits = UnsafeMutableRawBufferPointer(
                rebasing: content[(comment.count + prefix.count)..<(content.count - 1)])
            decoded.withUnsafeBytes { Base32.encode($0, into: digits) }
            content[content.count - 1] = UInt8(ascii: "\n")
        }
        return content
    }

    /// The line without blanks, tabs and the carriage return that some editors add at its end.
    private static func trimmed(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let blanks: Set<UInt8> = [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")]
        let end = line.lastIndex { !blanks.contains($0) }.map { $0 + 1 } ?? 0
        return UnsafeRawBufferPointer(rebasing: line[..<end])
    }

    /// Catches damage, not malice: 3 bytes that any edit of the key very likely no longer fits.
    private static func checksum(_ key: borrowing Secret) -> [UInt8] {
        [UInt8](SHA256.hash([UInt8]("oncewire private key".utf8), key)[..<checksumSize])
    }

    // MARK: Bytes

    /// Reads until the end of the file or of the buffer; returns how many bytes there were.
    private static func fill(
        _ buffer: UnsafeMutableRawBufferPointer, from file: Int32, path: String
    ) throws(IdentityFileError) -> Int {
        var count = 0
        while count < buffer.count {
            let received = Glibc.read(file, buffer.baseAddress! + count, buffer.count - count)
            if received == 0 { break }
            if received < 0 {
                if errno == EINTR { continue }
                throw .unreadable(path: path, code: errno)
            }
            count += received
        }
        return count
    }

    /// Writes all of `bytes` and waits for the disk; 0 or errno.
    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32 {
        var count = 0
        while count < bytes.count {
            let sent = Glibc.write(file, bytes.baseAddress! + count, bytes.count - count)
            if sent < 0 {
                if errno == EINTR { continue }
                return errno
            }
            count += sent
        }
        return fsync(file) == 0 ? 0 : errno
    }
}
