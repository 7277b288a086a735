import Foundation
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

    @Test(
        "Port 0 becomes a real port, which is reported and accepts connections", arguments: ["127.0.0.1", "localhost"])
    func portZero(_ host: String) throws {
        let socket = try ListeningSocket.open(.tcp(host: host, port: 0))
        guard case .tcp(host, let port) = socket.address else {
            Issue.record("\(socket.address)")
            return
        }
        #expect(port > 0)
        if host == "127.0.0.1" { #expect(try accepts(socket.address)) }
    }

    @Test("An address that is taken is an error that says what to do")
    func inUse() throws {
        let socket = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        expectRefused(
            socket.address,
            saying: "cannot listen on \(socket.address): another program has this address (see `ss -lntxp`)")
    }

    @Test("An address of no interface is an error that says so")
    func notOurs() {
        let address = Address.tcp(host: "192.0.2.1", port: 7700)
        expectRefused(address, saying: "cannot listen on \(address): no interface of this host has this address")
    }

    @Test("After it is stopped or dropped a port refuses connections and is free again")
    func stopped() throws {
        var socket: ListeningSocket? = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        let address = try #require(socket).address
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
        #expect(try accepts(socket.address))
    }

    @Test("The socket file of a daemon that lives is not replaced, and that daemon goes on")
    func liveFile() throws {
        let path = temporaryPath()
        let living = try ListeningSocket.open(.unix(path: path))
        expectRefused(
            .unix(path: path),
            saying: "cannot listen on unix:\(path): another program has this address (see `ss -lntxp`)")
        #expect(try accepts(living.address))
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
