import Foundation
import Glibc
import Pairing
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct ListenerSetTests {
    private final class Log: Sendable {
        private let lines = Guarded<[String]>([])
        func write(_ event: RelayEvent) { lines.withLock { $0.append("\(event.level): \(event)") } }
        var all: [String] { lines.withLock { $0 } }

        func eventually(_ isThere: (String) -> Bool) -> Bool {
            let deadline = monotonicNow() + patience
            while !all.contains(where: isThere) {
                guard monotonicNow() < deadline else { return false }
                usleep(2000)
            }
            return true
        }
    }

    private let log = Log()

    private func makeSet() -> ListenerSet {
        let log = log
        return ListenerSet(resetting: false) { log.write($0) }
    }

    private func wanted(_ name: String, _ address: Address) -> ListenerSet.Wanted {
        .init(service: ServiceID(name), address: address)
    }

    private func accepts(_ address: Address) throws -> Bool {
        let target = try #require(SocketAddress(literal: address))
        let fd = socket(target.family, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        return target.withPointer { connect(fd, $0, $1) } == 0
    }

    private let anyPort = Address.tcp(host: "127.0.0.1", port: 0)

    @Test("A name listens on all its addresses, at one port, and what is reported are addresses")
    func name() throws {
        let set = makeSet()
        try set.open([wanted("a", .tcp(host: "localhost", port: 0))])
        let expected = try #require(
            Resolver.lookUp(.tcp(host: "localhost", port: 0), isForListening: true))
        let bound = set.bound
        #expect(bound.count == expected.count)
        #expect(Set(bound.compactMap { SocketAddress(literal: $0.address)?.port }).count == 1)
        for listener in bound { #expect(try accepts(listener.address)) }
    }

    @Test("A name that leads to what is listened on already asks for it no second time")
    func covered() throws {
        let reserved = try ListeningSocket.open(anyPort)
        guard case .tcp(_, let port)? = reserved.address else { return }
        reserved.stop()
        let set = makeSet()
        try set.open([
            wanted("a", .tcp(host: "localhost", port: port)), wanted("a", .tcp(host: "0.0.0.0", port: port)),
        ])
        #expect(!log.all.contains { $0.contains("cannot listen") })
        #expect(set.bound.contains { $0.address == .tcp(host: "0.0.0.0", port: port) })
        #expect(!set.bound.contains { $0.address == .tcp(host: "127.0.0.1", port: port) })
    }

    @Test("A port that is taken stops no other, is an error in the log, and is listened on once it is free")
    func taken() throws {
        let taken = try ListeningSocket.open(anyPort)
        let address = try #require(taken.address)
        let set = makeSet()
        try set.open([wanted("a", address), wanted("b", anyPort)])
        defer { set.stop() }
        #expect(set.bound.map(\.service?.text) == ["b"])
        #expect(
            log.all == [
                "error: service a: cannot listen on \(address): another program has this address "
                    + "(see `ss -lntxp`); trying again every second"
            ])
        set.keepTrying()
        taken.stop()
        #expect(log.eventually { $0 == "notice: service a: listening on \(address) now" })
        #expect(try accepts(address))
        #expect(Set(set.bound.map(\.service?.text)) == ["a", "b"])
    }

    @Test("A service's listeners stay in the order of the configuration")
    func order() throws {
        let set = makeSet()
        try set.open([
            wanted("b", .tcp(host: "localhost", port: 0)), wanted("a", anyPort), wanted("c", anyPort),
        ])
        #expect(
            set.bound.compactMap(\.service?.text).reduce(into: []) { if $0.last != $1 { $0.append($1) } } == [
                "b", "a", "c",
            ])
    }

    @Test("Where nothing can be listened on, every reason is in the error and nothing stays bound")
    func nowhere() throws {
        let taken = try ListeningSocket.open(anyPort)
        let address = try #require(taken.address)
        do throws(RelayError) {
            try makeSet().open([wanted("a", address), wanted("b", .unix(path: "/nonexistent/x"))])
            Issue.record("opened")
        } catch {
            #expect("\(error)".contains("\(address): another program has this address"))
            #expect("\(error)".contains("unix:/nonexistent/x: its directory does not exist"))
        }
    }

    @Test("A name that is not known stops nobody else")
    func unknownName() throws {
        let set = makeSet()
        try set.open([wanted("a", .tcp(host: "nowhere.invalid", port: 0)), wanted("b", anyPort)])
        #expect(set.bound.map(\.service?.text) == ["b"])
        #expect(log.all.contains { $0.hasPrefix("error: service a: cannot listen on nowhere.invalid:0: its name") })
    }

    @Test("A link-local address of an interface that is not there is an error that says so")
    func noInterface() {
        do throws(RelayError) {
            try makeSet().open([wanted("a", .tcp(host: "fe80::1%none7", port: 47_003))])
            Issue.record("opened")
        } catch {
            #expect(
                "\(error)"
                    == "cannot listen on [fe80::1%none7]:47003: this host has no such interface (see `ip link`)"
            )
        }
    }

    @Test("An address that this host does not have is listened on with a warning")
    func notYet() throws {
        let set = makeSet()
        try set.open([wanted("a", .tcp(host: "203.0.113.7", port: 47_001))])
        #expect(
            log.all == ["warning: service a: listening on 203.0.113.7:47001, which is no address of this host yet"])
        #expect(set.bound.map { "\($0.address)" } == ["203.0.113.7:47001"])
    }
}
