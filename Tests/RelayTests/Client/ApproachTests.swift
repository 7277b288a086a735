// One approach to a server that the test plays itself.
import CLinux
import Glibc
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct ApproachTests {
    /// Writes down what it is told.
    private final class Owner: ApproachOwner {
        enum Call: Equatable {
            case connected
            case answered(HandshakeKind, [UInt8])
            case unreached(String)
            case shortage(String)
            case closed
            case useless(String)
        }
        var calls: [Call] = []
        var onConnected: (() -> Void)?

        func approachIsConnected() {
            calls.append(.connected)
            onConnected?()
        }

        func approachIsAnswered(_ kind: HandshakeKind, _ message: [UInt8]) { calls.append(.answered(kind, message)) }

        func approachFailed(_ why: ApproachFailure) {
            switch why {
            case .unreached(let why): calls.append(.unreached(why))
            case .shortage(let what): calls.append(.shortage(what))
            case .closed: calls.append(.closed)
            case .useless(let why): calls.append(.useless(why))
            }
        }
    }

    private let bench: Bench
    private let server: ListeningSocket
    private let owner = Owner()
    private let approach: Approach

    init() throws {
        bench = try Bench()
        server = try ListeningSocket.open(.tcp(host: "127.0.0.1", port: 0))
        approach = Self.approach(try #require(server.address), bench, owner)
    }

    private static func approach(_ server: Address, _ bench: Bench, _ owner: Owner) -> Approach {
        let settings = ClientSettings(
            server: server, serverKey: Identity.generate().publicKey,
            timeouts: ServerTimeouts(connect: .seconds(3), answer: .seconds(4)), identity: .generate(), services: [:])
        return Approach(ClientShared(settings, loops: 1), on: bench.shard, wanting: [.accept, .reject], for: owner)
    }

    /// The server's end of the next connection.
    private func arrival() throws -> TestSocket {
        var accepted: Int32 = -1
        try #require(
            bench.turn {
                var from = sockaddr_storage()
                var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                accepted = ow_accept(server.fd, &from, &length)
                return accepted >= 0
            })
        return TestSocket(accepted)
    }

    /// Starts, connects and sends `message`; returns the server's end.
    private func reach(sending message: [UInt8] = [1, 2, 3]) throws -> TestSocket {
        approach.start()
        let socket = try arrival()
        try #require(bench.turn { owner.calls == [.connected] })
        approach.send(message)
        return socket
    }

    private let answer =
        HandshakeMessage.preamble(of: .accept)
        + [UInt8](repeating: 7, count: HandshakeMessage.size(of: .accept) - HandshakeMessage.preambleSize)

    @Test("The message arrives whole, and the answer is told once, however it is cut, with the connection still open")
    func answered() throws {
        let socket = try reach()
        #expect(bench.turn { socket.read() == .bytes([1, 2, 3]) })
        for byte in answer {
            #expect(owner.calls == [.connected])
            socket.write([byte])
            for _ in 0..<3 { bench.turn() }
        }
        #expect(bench.turn { owner.calls.count > 1 })
        #expect(owner.calls == [.connected, .answered(.accept, answer)])
        let endpoint = try #require(approach.leave())
        // Neither the deadline nor a second answer is of any concern now.
        socket.write(answer)
        for _ in 0..<20 { bench.pass(.seconds(1)) }
        #expect(owner.calls.count == 2 && endpoint.isOpen && approach.leave() == nil)
        approach.cancel()
        #expect(endpoint.isOpen, "it is the owner's")
        endpoint.close()
    }

    @Test("There is no connection to be had before the answer has come, and none after the end")
    func notBefore() throws {
        let socket = try reach()
        socket.write(answer.dropLast())
        for _ in 0..<5 { bench.turn() }
        #expect(approach.leave() == nil)
        socket.close()
        #expect(bench.turn { owner.calls.count == 2 })
        #expect(approach.leave() == nil)
    }

    @Test("A message that is not wanted is useless, and the connection is closed")
    func unwanted() throws {
        let socket = try reach()
        socket.write(HandshakeMessage.preamble(of: .paired))
        #expect(bench.turn { owner.calls.count == 2 })
        #expect(owner.calls.last == .useless("not a handshake message"))
        _ = socket.readAll()
        #expect(bench.turn { socket.readAll().then != .nothingYet })
    }

    @Test("A server that closes after the message is told apart from one that is away")
    func closes() throws {
        let socket = try reach()
        #expect(bench.turn { socket.read() == .bytes([1, 2, 3]) })
        socket.close()
        #expect(bench.turn { owner.calls.count == 2 })
        #expect(owner.calls.last == .useless("closed in the handshake"))
    }

    @Test("A server that is not there is unreached, with what the kernel says of it")
    func refused() throws {
        let address = try #require(server.address)
        server.stop()
        let approach = Self.approach(address, bench, owner)
        approach.start()
        #expect(bench.turn { !owner.calls.isEmpty })
        #expect(owner.calls == [.unreached("Connection refused")])
    }

    @Test("The answer has a deadline of its own, which begins with the connection")
    func silence() throws {
        approach.start()
        _ = try arrival()
        bench.clock.advance(by: .milliseconds(2900))
        #expect(bench.turn { owner.calls == [.connected] })
        bench.pass(.milliseconds(3900))
        #expect(owner.calls == [.connected])
        bench.pass(.milliseconds(200))
        #expect(owner.calls == [.connected, .unreached("no answer within 4 s")])
        // It is told once.
        for _ in 0..<10 { bench.pass(.seconds(1)) }
        #expect(owner.calls.count == 2 && bench.shard.poller.endpoints == 0)
    }

    @Test("An owner that takes its time with the answer has no more of it than the server had")
    func thinking() throws {
        let socket = try reach()
        socket.write(answer)
        #expect(bench.turn { owner.calls.count == 2 })
        bench.pass(.seconds(5))
        #expect(owner.calls.last == .unreached("no answer within 4 s") && approach.leave() == nil)
    }

    @Test("A connection that does not come in time ends with the time for connecting")
    func unconnected() throws {
        let (address, fillers) = try crowdedPlace()
        let approach = Self.approach(address, bench, owner)
        approach.start()
        bench.pass(.milliseconds(2900))
        #expect(owner.calls.isEmpty)
        bench.pass(.milliseconds(200))
        #expect(owner.calls == [.unreached("no connection within 3 s")])
        #expect(bench.shard.poller.endpoints == 0)
        withExtendedLifetime(fillers) {}
    }

    /// A port whose queue is full, so that nobody gets through, and what fills it.
    private func crowdedPlace() throws -> (Address, [TestSocket]) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let door = TestSocket(socket(AF_INET, type, 0))
        let any = try #require(SocketAddress(literal: .tcp(host: "127.0.0.1", port: 0)))
        try #require(any.withPointer { bind(door.fd, $0, $1) } == 0 && listen(door.fd, 0) == 0)
        let bound = try #require(SocketAddress(of: door.fd, getsockname))
        let fillers = (0..<4).map { _ in
            let filler = TestSocket(socket(AF_INET, type | Int32(SOCK_NONBLOCK.rawValue), 0))
            _ = bound.withPointer { connect(filler.fd, $0, $1) }
            return filler
        }
        return (.tcp(host: "127.0.0.1", port: try #require(bound.port)), [door] + fillers)
    }

    @Test("What is cancelled is closed and tells nobody, whatever it was waiting for", arguments: 0...2)
    func cancelled(_ progress: Int) throws {
        approach.start()
        let socket = try arrival()
        if progress > 0 { #expect(bench.turn { owner.calls == [.connected] }) }
        if progress > 1 { approach.send([1]) }
        let before = owner.calls
        approach.cancel()
        for _ in 0..<10 { bench.pass(.seconds(1)) }
        #expect(owner.calls == before && bench.shard.poller.endpoints == 0)
        #expect(bench.turn { ![.nothingYet, .bytes([1])].contains(socket.read()) })
        approach.send([2])
        #expect(bench.shard.poller.endpoints == 0)
    }

    @Test("A message that is sent from within the news of the connection leaves at once")
    func fromWithin() throws {
        let approach = approach
        owner.onConnected = { approach.send([9]) }
        approach.start()
        let socket = try arrival()
        #expect(bench.turn { socket.read() == .bytes([9]) })
        approach.cancel()
        owner.onConnected = nil
    }
}
