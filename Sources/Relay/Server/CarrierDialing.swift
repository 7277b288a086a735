// Connecting a stream to its target. The link of a carrier that has no other stream is not read meanwhile: what the
// client sends waits in the kernel.
internal import CLinux
internal import Glibc
internal import Pairing
internal import Settings
internal import Wire

/// A stream that the client asks for, until its target is connected.
protocol TargetSeeker: Dialler {
    /// The carrier that it was asked for on.
    var seekingCarrier: Carrier { get }
    /// The service it was asked for with.
    var soughtService: ServiceID? { get }
    /// It still wants the target.
    var awaitsTarget: Bool { get }
    /// Connects to one of `addresses` within `limit` nanoseconds.
    func dial(_ addresses: [SocketAddress], limit: Nanoseconds)
    /// The target cannot be had: says why.
    func refuse(_ reason: CloseReason)
    /// The conversation that it belongs to is over.
    func outlivedConversation()
}

/// Why a stream has no target.
enum TargetFailure: Equatable {
    /// The target's name has no address: what the resolver says.
    case unknownName(String)
    /// Connecting failed, with this errno.
    case error(Int32)
    /// Connecting took too long.
    case timedOut

    /// What the client is told.
    var reason: CloseReason {
        switch self {
        case .unknownName: .targetUnreachable
        case .error(ECONNREFUSED): .targetRefused
        case .error(let error): isShortage(error) ? .resourceExhausted : .targetUnreachable
        case .timedOut: .targetTimedOut
        }
    }

    /// In words, for this server's log; `limit` is how long connecting may take.
    func text(limit: Nanoseconds?) -> String {
        switch self {
        case .unknownName(let why): "the name cannot be looked up: \(why)"
        case .error(EADDRNOTAVAIL):
            "\(errorText(EADDRNOTAVAIL)): no free port to call from, or no address of that family"
        case .error(let error): isShortage(error) ? "resources exhausted: \(errorText(error))" : errorText(error)
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

extension TargetSeeker {
    /// Connecting failed: tells the log what happened, and the client as much as it may know.
    func refuse(for failure: TargetFailure) {
        if let role = seekingCarrier.owner as? ServerRole, let service = soughtService {
            let route = role.roster.route(service, for: seekingCarrier.peer.device)
            seekingCarrier.shard.emit(
                .targetFailed(
                    service, target: route?.target.description ?? "?", device: role.place(of: seekingCarrier),
                    failure.text(limit: route?.limit)))
        }
        refuse(failure.reason)
    }

    /// The same for how a dialling ended that did not connect.
    func refuse(after result: DialResult) {
        switch result {
        case .connected: return
        case .failed(let error): refuse(for: .error(error))
        case .timedOut: refuse(for: .timedOut)
        }
    }

    /// There is no room for another stream.
    func turnDown(_ why: String) {
        logTurnedDown(why)
        refuse(.resourceExhausted)
    }

    fileprivate func logTurnedDown(_ why: String) {
        if let role = seekingCarrier.owner as? ServerRole, let service = soughtService {
            seekingCarrier.shard.emit(.streamTurnedDown(service, device: role.place(of: seekingCarrier), why))
        }
    }
}

extension ServerRole {
    /// Whose carrier this is and where that device is, for the log.
    func place(of carrier: Carrier) -> DevicePlace {
        DevicePlace(
            name: roster.name(of: carrier.peer.device),
            address: carrier.link.isOpen ? SocketAddress(peerOf: carrier.link.fd)?.text : nil)
    }
}

extension SharedStream: TargetSeeker {
    var seekingCarrier: Carrier { carrier }
    var soughtService: ServiceID? { service }

    /// More waits for targets than the device may have.
    func overflowed() {
        guard !awaitsTarget else { return turnDown(DeviceBudget.backlogIsFull) }
        logTurnedDown(DeviceBudget.backlogIsFull)
        abort(.resourceExhausted, DeviceBudget.backlogIsFull)
    }

    func outlivedConversation() {
        refuse(.draining)
        carrier.retire()
    }
}

extension Carrier: TargetSeeker {
    var seekingCarrier: Carrier { self }
    var soughtService: ServiceID? { service }
    var awaitsTarget: Bool { phase == .dialing }

    func outlivedConversation() { refuse(.draining) }

    /// Connects to one of `addresses` within `limit` nanoseconds (server, dialing only).
    func dial(_ addresses: [SocketAddress], limit: Nanoseconds) {
        let dial = Dial(addresses, on: shard, for: self)
        self.dial = dial
        dial.start(limit: limit)
    }

    func dialled(_ result: DialResult) {
        dial = nil
        switch result {
        case .connected(let target):
            resetWhenClosed(target.fd, true)
            target.resetsByDefault = true
            connected(target)
        case .failed, .timedOut: refuse(after: result)
        }
    }
}

extension SocketAddress {
    /// The other end of the connected socket `fd`; nil if it is not connected any more.
    fileprivate init?(peerOf fd: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutableBytes(of: &storage) {
            getpeername(fd, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard result == 0 else { return nil }
        self.init(storage, length)
    }
}
