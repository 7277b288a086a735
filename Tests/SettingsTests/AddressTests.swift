import Settings
import Testing

@Suite("Addresses")
struct AddressTests {
    @Test(
        "An address is parsed, and its text is the canonical one",
        arguments: [
            ("127.0.0.1:5432", "127.0.0.1:5432"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("db.example.net:7700", "db.example.net:7700"),
            ("DB.Example.net.:65535", "db.example.net.:65535"),
            ("db_1:1", "db_1:1"),
            ("[::]:7700", "[::]:7700"),
            ("[2001:DB8:0:0::1]:7700", "[2001:db8::1]:7700"),
            ("[fe80::1%eth0]:22", "[fe80::1%eth0]:22"),
            ("[::ffff:192.0.2.1]:22", "[::ffff:192.0.2.1]:22"),
            ("[fec0::1]:22", "[fec0::1]:22"),
            ("[fe8::1]:22", "[fe8::1]:22"),
            ("[1:2:3:4:5:6:7:8]:22", "[1:2:3:4:5:6:7:8]:22"),
            ("unix:/a$b/~c", "unix:/a$b/~c"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("unix:sub/x.sock", "unix:sub/x.sock"),
            ("unix:/a:b", "unix:/a:b"),
        ])
    func good(text: String, canonical: String) throws {
        let address = try Address(text)
        #expect(address.description == canonical)
        #expect(try Address(address.description) == address)
    }

    @Test("The parts of an address are the host, without brackets, and the port")
    func parts() throws {
        #expect(try Address("[::1]:53") == .tcp(host: "::1", port: 53))
        #expect(try Address("localhost:53") == .tcp(host: "localhost", port: 53))
        #expect(try Address("unix:/x") == .unix(path: "/x"))
    }

    @Test(
        "A text that is no address is refused, saying what is wrong and what to write",
        arguments: [
            ("", "has no port", "HOST:PORT"),
            ("7700", "is a port without a host", "127.0.0.1:7700 for this host alone"),
            ("/run/x.sock", "has no port", "unix:/PATH"),
            ("localhost", "has no port", "HOST:PORT"),
            (":7700", "has no host", "0.0.0.0:7700"),
            ("*:7700", "has no host", "\"[::]:7700\""),
            ("localhost:", "does not end with a port", "0 to 65535"),
            ("localhost:http", "does not end with a port", "0 to 65535"),
            ("localhost:65536", "does not end with a port", "0 to 65535"),
            ("localhost:-1", "does not end with a port", "0 to 65535"),
            ("localhost:+1", "does not end with a port", "0 to 65535"),
            ("localhost:99999999999999999999", "does not end with a port", "0 to 65535"),
            ("localhost:٣", "does not end with a port", "0 to 65535"),
            ("::1:7700", "is not HOST:PORT", "brackets"),
            ("::1", "is not HOST:PORT", "brackets and a port"),
            ("::", "is not HOST:PORT", "brackets and a port"),
            ("[::1]", "has no port", "\"[IPV6]:PORT\""),
            ("[fe80::1]:7700", "link-local address without its interface", "\"[fe80::1%eth0]:7700\""),
            ("[febf::1]:1", "link-local", "%eth0"),
            ("[::1:7700", "is not HOST:PORT", "brackets"),
            ("[::1]7700:1", "is not HOST:PORT", "brackets"),
            ("[::g]:1", "is not an IPv6 address", "[IPV6]:PORT"),
            ("[127.0.0.1]:1", "is not an IPv6 address", "[IPV6]:PORT"),
            ("[]:1", "is not an IPv6 address", "[IPV6]:PORT"),
            ("[::1%]:1", "is not an IPv6 address", "[IPV6]:PORT"),
            ("[::1%a b]:1", "is not an IPv6 address", "[IPV6]:PORT"),
            ("[:1", "is not HOST:PORT", "brackets"),
            ("256.0.0.1:1", "is not an IPv4 address", "four numbers"),
            ("1.2.3:1", "is not an IPv4 address", "four numbers"),
            ("a b:1", "is not a host name", "letters"),
            ("-a:1", "is not a host name", "letters"),
            ("a..b:1", "is not a host name", "letters"),
            ("bücher.example:1", "is not a host name", "letters"),
            ("tcp://localhost:1", "has a scheme", "HOST:PORT"),
            ("unix:", "names no socket", "unix:/PATH"),
            ("unix:/", "names no socket", "unix:/PATH"),
            ("unix:@x", "abstract socket", "unix:/PATH"),
            ("unix:~/x.sock", "~ in it, which only a shell replaces", "whole path"),
            ("unix:~ada/x.sock", "~ in it, which only a shell replaces", "whole path"),
            ("unix:$XDG_RUNTIME_DIR/x.sock", "a variable in it", "whole path"),
            ("unix:/run/${USER}/x.sock", "a variable in it", "whole path"),
            ("unix:/a\u{0}b", "is not an address", "unix:/PATH"),
            ("local\nhost:1", "is not an address", "HOST:PORT"),
        ])
    func bad(text: String, message: String, hint: String) {
        do throws(Complaint) {
            let address = try Address(text)
            Issue.record("\(address) was accepted")
        } catch {
            #expect(error.message.contains(message))
            #expect(error.hint.contains(hint))
        }
    }

    @Test("A host name has at most 253 characters and labels of at most 63")
    func longNames() throws {
        let label = String(repeating: "a", count: 63)
        _ = try Address("\(label).\(label).\(label).\(String(repeating: "b", count: 61)):1")
        #expect(throws: Complaint.self) { try Address("\(label)a:1") }
        #expect(throws: Complaint.self) {
            try Address("\(label).\(label).\(label).\(String(repeating: "b", count: 62)):1")
        }
    }

    @Test("A socket's path has at most the 107 bytes that fit into sockaddr_un")
    func longPaths() throws {
        _ = try Address("unix:/" + String(repeating: "a", count: 106))
        #expect(throws: Complaint.self) { try Address("unix:/" + String(repeating: "a", count: 107)) }
        #expect(throws: Complaint.self) { try Address("unix:/" + String(repeating: "ä", count: 54)) }
    }
}
