// Which addresses a build may use: a build that does not encrypt stays on this host.
internal import Codec
internal import Glibc

extension SocketAddress {
    /// Whether to listen on or connect to it: always, but for a build that does not encrypt.
    var isPermitted: Bool { !PlaintextLadder.isOn || isLocal }

    /// Whether what is sent there stays on this host: 127.0.0.0/8, ::1, a unix socket.
    var isLocal: Bool {
        guard isTCP else { return family == AF_UNIX }
        guard let bytes = ipBytes else { return false }
        return bytes.count == 4 ? bytes[0] == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }
}
