import Glibc
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct SocketAddressTests {
    private func address(_ host: String, _ port: UInt16 = 443) throws -> SocketAddress {
        try #require(SocketAddress(literal: .tcp(host: host, port: port)))
    }

    @Test("An IPv4 literal keeps its bytes and its port")
    func v4() throws {
        let address = try address("192.0.2.7")
        #expect(address.family == AF_INET && address.isTCP)
        #expect(address.ipBytes == [192, 0, 2, 7] && address.port == 443)
        #expect(address.text == "192.0.2.7:443")
        #expect(address.source == .v4(0xC000_0207, port: 443))
    }

    @Test("An IPv6 literal keeps its bytes and its port")
    func v6() throws {
        let address = try address("2001:db8::5", 65_535)
        #expect(address.family == AF_INET6 && address.isTCP)
        #expect(address.ipBytes == [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [5])
        #expect(address.port == 65_535)
        #expect(address.text == "[2001:db8::5]:65535")
        #expect(address.source == .v6(0x2001_0DB8 << 96 | 5, port: 65_535))
    }

    @Test("An IPv4 address mapped into IPv6 counts as the IPv4 address it is")
    func mapped() throws {
        let address = try address("::ffff:192.0.2.7")
        #expect(address.family == AF_INET6)
        #expect(address.ipBytes == [192, 0, 2, 7])
        #expect(address.source == .v4(0xC000_0207, port: 443))
    }

    @Test(
        "What is sent to loopback or a unix socket stays on this host, and to nothing else",
        arguments: [
            ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("0.0.0.0", false),
            ("128.0.0.1", false), ("192.0.2.7", false), ("::", false), ("2001:db8::1", false),
        ])
    func local(host: String, isLocal: Bool) throws {
        #expect(try address(host).isLocal == isLocal)
        #expect(try #require(SocketAddress(literal: .unix(path: "/run/a"))).isLocal)
    }

    @Test("A build for anything but the ladder may use every address")
    func permitted() throws { #expect(try address("192.0.2.7").isPermitted) }

    @Test("A unix path becomes an address without port or IP")
    func unix() throws {
        let path = "/run/oncewire.sock"
        let address = try #require(SocketAddress(literal: .unix(path: path)))
        #expect(address.family == AF_UNIX && !address.isTCP)
        #expect(address.ipBytes == nil && address.port == nil)
        #expect(address.source == .none)
        #expect(address.text == "a unix socket")
        let kept = address.withPointer { pointer, length in
            #expect(length >= MemoryLayout<sa_family_t>.size + path.utf8.count + 1)
            return pointer.withMemoryRebound(to: sockaddr_un.self, capacity: 1) { unix in
                withUnsafeBytes(of: unix.pointee.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            }
        }
        #expect(kept == path)
    }

    @Test("A unix path may have 107 bytes, and no more")
    func longestPath() {
        #expect(SocketAddress(literal: .unix(path: String(repeating: "a", count: 107))) != nil)
        #expect(SocketAddress(literal: .unix(path: String(repeating: "a", count: 108))) == nil)
        #expect(SocketAddress(literal: .unix(path: "")) == nil)
    }

    @Test("A name is no literal", arguments: ["localhost", "example.org", "1.2.3", "256.0.0.1", "::g", ""])
    func names(_ host: String) {
        #expect(SocketAddress(literal: .tcp(host: host, port: 1)) == nil)
    }

    @Test("The resolver knows this host's own name and answers with addresses of the port asked for")
    func lookUp() throws {
        let found = try #require(Resolver.lookUp(.tcp(host: "localhost", port: 4711)))
        #expect(found.allSatisfy { $0.isTCP && $0.port == 4711 })
    }
}
