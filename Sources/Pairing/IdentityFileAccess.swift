// Who may use an identity file besides the daemon: judged from owner, mode and access control list. Of system calls
// only questions about an open file and this process.

internal import CLinux
internal import Glibc

/// A private key belongs to root or to the user that uses it, and nobody else may have any right to it.
///
/// What secret managers do is no right of others. That is a file of root that this process's group may read
/// (Kubernetes). Or an access control list lets this process's user read it (systemd's `LoadCredential=`), which
/// shows as group bits.
struct IdentityFileAccess {
    private let status: stat
    private let user: uid_t

    /// The directory of this process's credentials (systemd.exec(5)); nil if it has none.
    static var credentials: String? { getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) } }

    /// Of the open file `descriptor` with this status, for `user`.
    static func check(
        _ descriptor: Int32, _ status: stat, user: uid_t, credentials: String?, path: String
    ) throws(IdentityFileError) {
        let access = IdentityFileAccess(status: status, user: user)
        let mode = status.st_mode & 0o7777
        guard status.st_uid == 0 || status.st_uid == access.user else {
            throw .foreignOwner(path: path, owner: status.st_uid, user: access.user)
        }
        guard mode & 0o077 != 0 else { return }
        guard mode & 0o007 == 0 else { throw .accessibleToOthers(path: path, mode: mode) }
        guard let list = AccessList(of: descriptor) else {
            guard access.mayGroup(status.st_gid, mode >> 3 & 7) || access.isCredential(path, in: credentials) else {
                throw .accessibleToOthers(path: path, mode: mode)
            }
            return
        }
        for entry in list.entries where entry.rights & list.mask != 0 {
            let rights = entry.rights & list.mask
            let isFine =
                switch entry.holder {
                case .user(let other): other == 0 || other == access.user || other == status.st_uid
                case .owningGroup: access.mayGroup(status.st_gid, rights)
                case .group(let group): access.mayGroup(group, rights)
                }
            guard isFine else { throw .sharedByList(path: path, with: entry.holder.text(owning: status.st_gid)) }
        }
    }

    /// Whether a group may have these rights: to read, given by root, to a group this process is in. An owner that
    /// could do without has no reason to share its file, unless it is one that nobody may write, from a manager.
    private func mayGroup(_ group: gid_t, _ rights: mode_t) -> Bool {
        if rights == 0 { return true }
        guard rights == 4, status.st_uid == 0, user != 0 || status.st_mode & 0o222 == 0 else { return false }
        return group == 0 || group == getegid() || Self.groups.contains(group)
    }

    /// systemd's own: below the directory it made for this service, of root, for nobody to write.
    private func isCredential(_ path: String, in directory: String?) -> Bool {
        guard let directory, !directory.isEmpty else { return false }
        return path.hasPrefix(directory.hasSuffix("/") ? directory : directory + "/")
            && !path.split(separator: "/").contains("..") && status.st_uid == 0 && status.st_mode & 0o337 == 0
    }

    private static var groups: [gid_t] {
        let count = getgroups(0, nil)
        guard count > 0 else { return [] }
        var groups = [gid_t](repeating: 0, count: Int(count))
        let filled = getgroups(count, &groups)
        return Array(groups.prefix(max(0, Int(filled))))
    }
}

/// A file's access control list (acl(5)), as the kernel gives it: version 2, then 8 bytes an entry.
private struct AccessList {
    enum Holder {
        case user(uid_t)
        case owningGroup
        case group(gid_t)

        func text(owning: gid_t) -> String {
            switch self {
            case .user(let user): "user \(user)"
            case .owningGroup: "group \(owning)"
            case .group(let group): "group \(group)"
            }
        }
    }

    /// Who has which rights (4 read, 2 write, 1 execute) besides the owner and others, before the mask.
    private(set) var entries: [(holder: Holder, rights: mode_t)] = []
    /// The most rights that any of them really has.
    private(set) var mask: mode_t = 7

    /// nil if the file has none, or the file system knows none.
    init?(of descriptor: Int32) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = ow_read_access_list(descriptor, &bytes, bytes.count)
        guard count >= 4 else { return nil }
        func number(_ at: Int, _ size: Int) -> UInt32 {
            (0..<size).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        }
        guard number(0, 4) == 2 else { return nil }
        for at in stride(from: 4, through: count - 8, by: 8) {
            let rights = mode_t(number(at + 2, 2))
            let id = number(at + 4, 4)
            switch number(at, 2) {
            case 0x02: entries.append((.user(id), rights))
            case 0x04: entries.append((.owningGroup, rights))
            case 0x08: entries.append((.group(id), rights))
            case 0x10: mask = rights
            default: break
            }
        }
    }
}
