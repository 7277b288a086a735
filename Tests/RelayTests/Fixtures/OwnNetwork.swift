// A network namespace for one test: loopback alone, with settings that nobody else has.
import Foundation
import Glibc
import Testing

struct NoOwnNetwork: Error {
    let call: String
    let code: Int32
}

/// Runs `body` on a thread of its own that lives in a network namespace of its own (root only).
func inOwnNetwork(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let thread = Thread {
            continuation.resume(
                with: Result {
                    try enterOwnNetwork()
                    try body()
                })
        }
        thread.start()
    }
}

private func enterOwnNetwork() throws {
    // Not in the module map of the C library.
    typealias Unshare = @convention(c) (Int32) -> Int32
    let unshare = unsafeBitCast(try #require(dlsym(dlopen(nil, RTLD_NOW), "unshare")), to: Unshare.self)
    let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET
    guard unshare(newNetwork) == 0 else { throw NoOwnNetwork(call: "unshare", code: errno) }
    // Its loopback is down at first.
    let probe = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(probe) }
    var request = ifreq()
    withUnsafeMutableBytes(of: &request) { bytes in
        bytes.copyBytes(from: "lo".utf8)
        bytes.storeBytes(of: Int16(upAndRunning), toByteOffset: 16, as: Int16.self)
    }
    let setFlags: UInt = 0x8914  // SIOCSIFFLAGS
    guard ioctl(probe, setFlags, &request) == 0 else { throw NoOwnNetwork(call: "ioctl", code: errno) }
}

private let upAndRunning = 0x1 | 0x40  // IFF_UP | IFF_RUNNING

func writeFile(_ path: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: [])
}
