// What systemd is told: the few lines of sd_notify(3) that are needed, without libsystemd.
import Glibc

/// Sends one state line, such as READY=1, to the service manager; does nothing where there is none.
func notifySystemd(_ state: String) {
    guard let name = getenv("NOTIFY_SOCKET") else { return }
    var path = Array(String(cString: name).utf8)
    // "@" stands for the zero byte that abstract names begin with (unix(7)).
    if path.first == UInt8(ascii: "@") { path[0] = 0 }

    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard !path.isEmpty, path.count < room else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let length = socklen_t(MemoryLayout<sockaddr_un>.size - room + path.count)

    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let message = Array(state.utf8)
    _ = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
        }
    }
}
