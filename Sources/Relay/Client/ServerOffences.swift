// What only a client may say: a server that says it has broken the protocol.
internal import Wire

extension Upstream {
    func carrier(_ carrier: Carrier, opens message: OpenMessage) { carrier.violated("OPEN by a server") }
    func carrier(_ carrier: Carrier, opens message: OpenMessage, as stream: SharedStream) {
        carrier.violated("OPEN by a server")
    }
    func carrier(_ carrier: Carrier, takesOver message: MoveMessage) { carrier.violated("MOVE by a server") }
    func carrierIsShared(_ carrier: Carrier) {}
    func carrierSaidBye(_ carrier: Carrier) { carrier.violated("BYE by a server") }
}
