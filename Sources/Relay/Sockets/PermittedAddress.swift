// Which addresses a build may use: a build that does not encrypt stays on this host.
internal import Codec

extension SocketAddress {
    /// Whether to listen on or connect to it: always, but for a build that does not encrypt.
    var isPermitted: Bool { !PlaintextLadder.isOn || isLocal }
}
