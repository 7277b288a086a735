// HTTP through the tunnel, with curl.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("HTTP")
    struct WebTests {
        @Test("curl downloads and uploads 50 MB, and the hashes are equal")
        func transfer() async throws {
            try await withScene { scene in
                let web = try scene.webServer()
                let tunnel = try await scene.tunnel(TunnelPlan("web", to: web.endpoint))
                let curl = try program("curl")
                let base = "http://127.0.0.1:\(tunnel.endpoint().port)"

                let get = try await scene.run(
                    curl, ["-sS", "--fail", "-o", scene.path("got"), "\(base)/50000000"])
                #expect(get.succeeded, "\(get.errors)")
                #expect(try digest(ofFile: scene.path("got")) == Pattern.digest(seed: 7, count: 50_000_000))

                let file = try scene.patternFile("put", seed: 8, count: 50_000_000)
                let put = try await scene.run(curl, ["-sS", "--fail", "-T", file, "\(base)/put"])
                #expect(put.succeeded, "\(put.errors)")
                #expect(put.output == Pattern.digest(seed: 8, count: 50_000_000).sha256)
                try await tunnel.stop()
            }
        }

        @Test("Several requests of one curl share one connection, here as without a tunnel")
        func keepAlive() async throws {
            try await withScene { scene in
                let web = try scene.webServer()
                let tunnel = try await scene.tunnel(TunnelPlan("web", to: web.endpoint))
                let base = "http://127.0.0.1:\(tunnel.endpoint().port)"
                let run = try await scene.run(
                    try program("curl"),
                    ["-sS", "--fail", "-w", "%{http_code} %{num_connects} %{size_download}\n"]
                        + ["-o", "/dev/null", "\(base)/1", "-o", "/dev/null", "\(base)/70000"]
                        + ["-o", "/dev/null", "\(base)/0"])
                #expect(run.output == "200 1 1\n200 0 70000\n200 0 0\n")
                #expect(web.accepted == 1)
                try await tunnel.stop()
            }
        }
    }
}

extension Scene {
    /// Enough of HTTP/1.1 for curl: GET /N answers with N bytes of the pattern of seed 7, PUT with the
    /// SHA-256 of the body.
    fileprivate func webServer() throws -> SampleService {
        try service { connection in
            while let head = try connection.receiveHead() {
                let words = head.split(separator: " ")
                if words[0] == "PUT" {
                    let length = head.split(whereSeparator: \.isNewline).lazy
                        .first { $0.lowercased().hasPrefix("content-length:") }
                        .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
                    if head.lowercased().contains("100-continue") {
                        try connection.send("HTTP/1.1 100 Continue\r\n\r\n")
                    }
                    let sum = try connection.digest(exactly: length ?? 0).sha256
                    try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(sum.utf8.count)\r\n\r\n\(sum)")
                } else {
                    let count = Int(words[1].dropFirst()) ?? 0
                    try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
                    try connection.sendPattern(seed: 7, count: count)
                }
            }
        }
    }
}

extension Socket {
    /// The lines up to the empty one, or nil at the end of the connection. Byte by byte, because what
    /// follows belongs to somebody else.
    fileprivate func receiveHead() throws -> String? {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            let byte = try receive(upTo: 1)
            if byte.isEmpty { return nil }
            head += byte
        }
        return String(decoding: head, as: UTF8.self)
    }
}
