// What only a client asks for. FrameRules ends a carrier on which a server does.
internal import Wire

extension ClientRole {
    func carrier(_ carrier: Carrier, opens message: OpenMessage) {}
    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {}
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) {}
    func carrier(
        _ carrier: Carrier, hasNoTargetFor service: ServiceID, _ failure: TargetFailure, trying tried: [SocketAddress]) {}
    func carrierIsShared(_ carrier: Carrier) {}
    func carrierSaidBye(_ carrier: Carrier) {}
}
