// TCP's urgent data: the byte has its place among the others, and nothing waits after it.

import Glibc
import Testing

@Suite("Urgent data", .timeLimit(.minutes(2)))
struct UrgentDataTests {
    @Test(
        "What is sent before, with and after an urgent byte arrives in order, both ways",
        arguments: ["shared", "own"], [false, true])
    func inline(carrier: String, overUnixSocket: Bool) async throws {
        try await withScene { scene in
            let service = try scene.service { connection in
                try connection.setNoDelay()
                // Like the caller: three pieces, the middle one urgent, then whatever comes back.
                try connection.send("abc")
                try connection.sendUrgent(UInt8(ascii: "!"))
                try connection.send("def")
                let got = try connection.receive(exactly: 7)
                try connection.send(got)
                _ = try connection.receiveToEnd()
            }
            var plan = TunnelPlan(to: service.endpoint).with { $0.carrier = carrier }
            if overUnixSocket {
                let path = scene.path("server")
                plan = plan.with { $0.serverListen = ["unix:\(path)"] }
            }
            let tunnel = try await scene.tunnel(plan)
            let socket = try await tunnel.connect()
            try await onThread {
                try socket.setNoDelay()
                #expect(try socket.receive(exactly: 7) == Array("abc!def".utf8))
                try socket.send("gh")
                try socket.sendUrgent(UInt8(ascii: "?"))
                try socket.send("ijkl")
                #expect(try socket.receive(exactly: 7) == Array("gh?ijkl".utf8))
                try socket.finish()
                #expect(try socket.receiveToEnd() == [])
            }
            try await tunnel.stop()
        }
    }

    @Test("Bytes that a stopped daemon finds together with an urgent one all go on at once")
    func foundTogether() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint))
            let socket = try await tunnel.connect()
            try await onThread {
                try socket.setNoDelay()
                for _ in 0..<5 {
                    tunnel.client.signal(SIGSTOP)
                    try socket.send("abc")
                    try socket.sendUrgent(UInt8(ascii: "!"))
                    try socket.send("def")
                    tunnel.client.signal(SIGCONT)
                    #expect(try socket.receive(exactly: 7) == Array("abc!def".utf8))
                }
                try socket.finish()
                #expect(try socket.receiveToEnd() == [])
            }
            try await tunnel.stop()
        }
    }
}

extension Socket {
    /// Sends one byte as urgent data.
    func sendUrgent(_ byte: UInt8) throws {
        guard Glibc.send(fd, [byte], 1, Int32(MSG_OOB) | Int32(MSG_NOSIGNAL)) == 1 else {
            throw SocketError(call: "send", code: errno)
        }
    }
}
