import Foundation
import Glibc
import Pairing
import Settings
import Testing

@testable import Relay

@Suite struct ListeningTests {
    private func expectRefused(_ address: Address, saying expected: String) {
        do throws(RelayError) {
            _ = try ListeningSocket.open(address)
            Issue.record("\(address) was bound")
        } catch {
            #expect("\(error)" == expected)
        }
    }

    /// Whether the kernel lets somebody connect.
    private func accepts(_ address: Address) throws -> Bool {
        let target = try #require(SocketAddress(literal: address))
        let fd = socket(target.family, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        return target.withPointer { connect(fd, $0, $1) } == 0
    }

    private func temporaryPath() -> String { NSTemporaryDirectory() + "ow-\(UUID().uuidString.prefix(13)).sock" }

    @Test("Port 0 becomes a real port, which is reported and accepts connections")
    func portZero() throws {
        let address = try #require(try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0)).address)
        guard case .tcp("127.0.0.1", let port) = address else {
            Issue.record("\(address)")
            return
        }
        #expect(port > 0)
    }

    @Test("An address that is taken is an error that says what to do")
    func inUse() throws {
        let socket = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let address = try #require(socket.address)
        expectRefused(
            address,
            saying: "cannot listen on \(address): another program has this address (see `ss -lntxp`)")
    }

    @Test(
        "An address that this host does not have yet is listened on, and told apart",
        arguments: ["203.0.113.7", "2001:db8::1"])
    func notOurs(_ host: String) throws {
        let address = Address.tcp(host: host, port: 47_000)
        let target = try #require(SocketAddress(literal: address))
        let socket = try ListeningSocket(family: target.family, resetting: false)
        #expect(try socket.listen(at: target, named: address) == .notYet)
        #expect(socket.address == address)
    }

    @Test(
        "A socket that could not be bound listens once its port is free, and the loop that watched it all along accepts"
    )
    func later() throws {
        let taken = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let address = try #require(taken.address)
        let target = try #require(SocketAddress(literal: address))
        let bench = try Bench()
        let host = CountingHost()
        let socket = try ListeningSocket(family: AF_INET, resetting: false)
        let listener = Listener(socket, on: bench.shard, for: host)
        listener.open()
        #expect(throws: SocketError.self) { try socket.listen(at: target, named: address) }
        bench.turn()
        #expect(socket.address == nil && host.accepted == 0)
        taken.stop()
        #expect(try socket.listen(at: target, named: address) == .here)
        #expect(try accepts(address))
        #expect(bench.turn { host.accepted == 1 })
        listener.close()
        #expect(try !accepts(address))
    }

    private final class CountingHost: Relay.Host {
        var accepted = 0
        var mayAccept: Bool { true }
        func accepted(_ fd: Int32, from address: SocketAddress, by listener: Listener) {
            accepted += 1
            close(fd)
        }
    }

    @Test("After it is stopped or dropped a port refuses connections and is free again")
    func stopped() throws {
        var socket: ListeningSocket? = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let address = try #require(socket?.address)
        #expect(try accepts(address))
        socket?.stop()
        socket?.stop()
        #expect(try !accepts(address))
        socket = nil
        let again = try ListeningSocket.open(address)
        #expect(again.address == address)
    }

    @Test("A unix socket's file is there while it listens and gone afterwards")
    func unixFile() throws {
        let path = temporaryPath()
        var socket: ListeningSocket? = try ListeningSocket.open(.unix(path: path))
        #expect(socket?.address == .unix(path: path))
        #expect(try accepts(.unix(path: path)))
        socket = nil
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("The socket file of a daemon that was killed is replaced")
    func staleFile() throws {
        let path = temporaryPath()
        let target = try #require(SocketAddress(literal: .unix(path: path)))
        let killed = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #expect(target.withPointer { bind(killed, $0, $1) } == 0)
        #expect(listen(killed, 1) == 0)
        close(killed)
        #expect(FileManager.default.fileExists(atPath: path))
        let socket = try ListeningSocket.open(.unix(path: path))
        #expect(try accepts(try #require(socket.address)))
    }

    @Test("The socket file of a daemon that lives is not replaced, and that daemon goes on")
    func liveFile() throws {
        let path = temporaryPath()
        let living = try ListeningSocket.open(.unix(path: path))
        expectRefused(
            .unix(path: path),
            saying: "cannot listen on unix:\(path): another program has this address (see `ss -lntxp`)")
        #expect(try accepts(try #require(living.address)))
    }

    @Test("A socket between bind and listen is not stale, whoever has it and however it spells its path")
    func boundOnly() throws {
        let path = temporaryPath()
        let target = try #require(SocketAddress(literal: .unix(path: path.replacing("/ow-", with: "/./ow-"))))
        let other = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(other)
            unlink(path)
        }
        #expect(target.withPointer { bind(other, $0, $1) } == 0)
        expectRefused(
            .unix(path: path),
            saying: "cannot listen on unix:\(path): another program has this address (see `ss -lntxp`)")
        #expect(listen(other, 1) == 0)
        #expect(try accepts(.unix(path: path)))
    }

    @Test("A file that came to the path in the place of the socket's own is left there")
    func foreignFile() throws {
        let path = temporaryPath()
        let first = try ListeningSocket.open(.unix(path: path))
        unlink(path)
        unlink("\(path).lock")
        let second = try ListeningSocket.open(.unix(path: path))
        first.stop()
        #expect(try accepts(.unix(path: path)))
        second.stop()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("While one daemon has a path another cannot take it, even if its file is gone; afterwards nothing is left")
    func lock() throws {
        let path = temporaryPath()
        let living = try ListeningSocket.open(.unix(path: path))
        unlink(path)
        #expect(throws: RelayError.self) { _ = try ListeningSocket.open(.unix(path: path)) }
        living.stop()
        #expect(!FileManager.default.fileExists(atPath: "\(path).lock"))
        #expect(throws: Never.self) { _ = try ListeningSocket.open(.unix(path: path)) }
        #expect(!FileManager.default.fileExists(atPath: "\(path).lock"))
    }

    @Test("Of daemons that find a stale file at the same time one has the path, and only one")
    func race() throws {
        let path = temporaryPath()
        let target = try #require(SocketAddress(literal: .unix(path: path)))
        for _ in 0..<5 {
            let killed = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            #expect(target.withPointer { bind(killed, $0, $1) } == 0)
            close(killed)
            let sockets = Guarded<[ListeningSocket]>([])
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                guard let socket = try? ListeningSocket.open(.unix(path: path)) else { return }
                sockets.withLock { $0.append(socket) }
            }
            #expect(sockets.withLock { $0.count } == 1)
            #expect(try accepts(.unix(path: path)))
        }
    }

    @Test("A file that is no socket is never removed")
    func otherFile() throws {
        let path = temporaryPath()
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: RelayError.self) { _ = try ListeningSocket.open(.unix(path: path)) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }
}
