// What the client is told of a target that cannot be had, and what the server's log says.
import Glibc
import Settings
import Testing
import Wire

@testable import Relay

@Suite struct TargetFailureTests {
    @Test(
        "What this host lacks is told as exhausted resources, and not as a target that cannot be reached",
        arguments: [EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL])
    func shortage(error: Int32) {
        let failure = TargetFailure.error(error)
        #expect(failure.reason == .resourceExhausted && failure.reason.rawValue == 8)
        #expect(failure.text(limit: nil).contains(errorText(error)))
        if error != EADDRNOTAVAIL { #expect(failure.text(limit: nil).hasPrefix("resources exhausted: ")) }
    }

    @Test("A target that is a name is logged with the addresses that were tried, one that is an address by itself")
    func addresses() throws {
        let service = try #require(ServiceID("web"))
        let named = Route(service, ServerService(target: .tcp(host: "web.example.net", port: 80)), of: 0)
        let tried = try ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map {
            try #require(SocketAddress(literal: .tcp(host: $0, port: 80)))
        }
        #expect(named.inWords(trying: []) == "web.example.net:80")
        #expect(named.inWords(trying: [tried[0]]) == "web.example.net:80 (192.0.2.1:80)")
        #expect(
            named.inWords(trying: tried)
                == "web.example.net:80 (192.0.2.1:80, [2001:db8::1]:80, 192.0.2.2:80, and 2 more)")
        let literal = Route(service, ServerService(target: .tcp(host: "192.0.2.1", port: 80)), of: 0)
        #expect(literal.inWords(trying: [tried[0]]) == "192.0.2.1:80")
    }

    @Test("A refusal, silence, and everything else have their reasons and words")
    func others() {
        #expect(TargetFailure.error(ECONNREFUSED).reason == .targetRefused)
        #expect(TargetFailure.error(ECONNREFUSED).text(limit: nil) == "Connection refused")
        for error in [EHOSTUNREACH, ENETUNREACH, ENOENT, EACCES] {
            #expect(TargetFailure.error(error).reason == .targetUnreachable)
            #expect(TargetFailure.error(error).text(limit: nil) == errorText(error))
        }
        #expect(TargetFailure.timedOut.reason == .targetTimedOut)
        #expect(TargetFailure.timedOut.text(limit: 1_000_000_000) == "no answer within 1 s")
        #expect(TargetFailure.unknownName("no such name").reason == .targetUnreachable)
    }
}
