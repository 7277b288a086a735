// Connecting a stream to its target. The link of a carrier that has no other stream is not read meanwhile: what the
// client sends waits in the kernel.
internal import Wire

/// A stream that the client asks for, until its target is connected.
protocol TargetSeeker: Dialler {
    /// The carrier that it was asked for on.
    var seekingCarrier: Carrier { get }
    /// The service it was asked for with.
    var soughtService: ServiceID? { get }
    /// It still wants the target.
    var awaitsTarget: Bool { get }
    /// The connecting to the target, while it is under way.
    var dial: Dial? { get set }
    /// The target is connected.
    func connected(_ target: Endpoint)
    /// The target cannot be had: says why.
    func refuse(_ reason: CloseReason)
    /// The conversation that it belongs to is over.
    func outlivedConversation()
}

extension TargetSeeker {
    /// Connects to one of `addresses` within `limit` nanoseconds.
    func dial(_ addresses: [SocketAddress], limit: Nanoseconds) {
        let dial = Dial(addresses, on: seekingCarrier.shard, for: self)
        self.dial = dial
        dial.start(limit: limit)
    }

    func dialled(_ result: DialResult) {
        let tried = dial?.addresses ?? []
        dial = nil
        switch result {
        case .connected(let target):
            resetWhenClosed(target.fd, true)
            target.resetsByDefault = true
            connected(target)
        case .failed, .timedOut: refuse(after: result, trying: tried)
        }
    }

    /// The target cannot be had: the owner learns why, and the client as much as it may know.
    func refuse(for failure: TargetFailure, trying tried: [SocketAddress] = []) {
        tellOwner(failure, tried)
        refuse(failure.reason)
    }

    /// The same for how a dialling ended that did not connect.
    func refuse(after result: DialResult, trying tried: [SocketAddress]) {
        switch result {
        case .connected: return
        case .failed(let error): refuse(for: .error(error), trying: tried)
        case .timedOut: refuse(for: .timedOut, trying: tried)
        }
    }

    fileprivate func tellOwner(_ failure: TargetFailure, _ tried: [SocketAddress] = []) {
        guard let service = soughtService else { return }
        seekingCarrier.owner.atServer?.carrier(seekingCarrier, hasNoTargetFor: service, failure, trying: tried)
    }
}

extension SharedStream: TargetSeeker {
    var seekingCarrier: Carrier { carrier }
    var soughtService: ServiceID? { service }

    /// More waits for targets than the device may have.
    func overflowed() {
        guard !awaitsTarget else { return refuse(for: .noRoom(DeviceBudget.backlogIsFull)) }
        tellOwner(.noRoom(DeviceBudget.backlogIsFull))
        abort(.backlogIsFull)
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
}
