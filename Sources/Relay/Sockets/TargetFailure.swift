// Why an address could not be reached, for the client and for the log.
internal import CLinux
internal import Glibc
internal import Settings
internal import Wire

/// Why a stream has no target.
enum TargetFailure: Equatable {
    /// The target's name has no address: what the resolver says.
    case unknownName(String)
    /// Connecting failed, with this errno.
    case error(Int32)
    /// Connecting took too long.
    case timedOut
    /// It was not tried: a limit of this server is reached, in words.
    case noRoom(String)

    /// What the client is told.
    var reason: CloseReason {
        switch self {
        case .unknownName: .targetUnreachable
        case .error(ECONNREFUSED): .targetRefused
        case .error(let error): isShortage(error) ? .resourceExhausted : .targetUnreachable
        case .timedOut: .targetTimedOut
        case .noRoom: .resourceExhausted
        }
    }

    /// In words, for this server's log; `limit` is how long connecting may take.
    func text(limit: Nanoseconds?) -> String {
        switch self {
        case .unknownName(let why): "the name cannot be looked up: \(why)"
        case .error(EADDRNOTAVAIL):
            "\(errorText(EADDRNOTAVAIL)): no free port to call from, or no address of that family"
        case .error(let error): isShortage(error) ? "resources exhausted: \(errorText(error))" : errorText(error)
        case .noRoom(let why): why
        case .timedOut: "no answer" + (limit.map { " within \(inWords(.nanoseconds($0)))" } ?? "")
        }
    }
}

/// Whether errno says that this host lacks something, not that the other end cannot be reached: descriptors, memory,
/// or a free port to call from.
func isShortage(_ error: Int32) -> Bool {
    switch error {
    case EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL: true
    default: false
    }
}
