// What can keep a daemon from starting. Everything that happens later is an event, not an error.
internal import Glibc
package import Settings

/// Why a daemon could not start.
package enum RelayError: Error, CustomStringConvertible {
    /// A listening socket could not be made: the address, and errno.
    case cannotListen(Address, Int32)
    /// There is more than one address to listen on, and none can be: why not, each.
    case cannotListenAnywhere([RelayError])
    /// The name to listen on cannot be looked up.
    case unknownName(Address)
    /// A system call failed for lack of a resource: its name, and errno.
    case system(String, Int32)

    package var description: String {
        switch self {
        case .cannotListen(let address, EADDRINUSE):
            "cannot listen on \(address): another program has this address (see `ss -lntxp`)"
        case .cannotListen(let address, EACCES):
            "cannot listen on \(address): not permitted (ports below 1024 need CAP_NET_BIND_SERVICE)"
        case .cannotListen(let address, EADDRNOTAVAIL):
            "cannot listen on \(address): no interface of this host has this address"
        case .cannotListen(.unix(let path), ENOENT):
            "cannot listen on unix:\(path): its directory does not exist"
        case .cannotListen(let address, let error): "cannot listen on \(address): \(errorText(error))"
        case .cannotListenAnywhere(let failures):
            failures.prefix(5).map { "\($0)" }.joined(separator: "; ")
                + (failures.count > 5 ? "; and \(failures.count - 5) more" : "")
        case .unknownName(let address) where "\(address)".contains("%"):
            "cannot listen on \(address): this host has no such interface (see `ip link`)"
        case .unknownName(let address):
            "cannot listen on \(address): its name cannot be looked up (see `getent ahosts` and /etc/hosts)"
        case .system(let call, let error): "\(call): \(errorText(error))"
        }
    }
}

/// Why a running daemon did not take other settings. Nothing has changed then.
package enum ChangeError: Error, Equatable, CustomStringConvertible {
    /// These keys need another start of the daemon.
    case needsRestart([String])
    /// A server's settings for a client, or the other way round.
    case otherKind
    /// The daemon has not been started.
    case notStarted
    /// The daemon drains.
    case ending

    package var description: String {
        switch self {
        case .needsRestart(let keys):
            "\(keys.joined(separator: ", ")) cannot change while the daemon runs: restart it (nothing was changed)"
        case .otherKind: "these are the settings of the other kind of daemon (nothing was changed)"
        case .notStarted: "the daemon has not been started (nothing was changed)"
        case .ending: "the daemon is ending (nothing was changed)"
        }
    }
}

extension SettingsChange {
    /// Itself, if a running daemon can take it.
    func possible() throws(ChangeError) -> SettingsChange {
        guard restarts.isEmpty else { throw .needsRestart(restarts) }
        return self
    }

    /// Whether the loops have to hear of it.
    var reachesLoops: Bool { effect > .nothing }
}

/// The C library's words for an errno value.
func errorText(_ error: Int32) -> String {
    String(cString: strerror(error))
}
