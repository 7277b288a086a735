// Redis through the tunnel, with its own clients.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("Redis")
    struct RedisTests {
        @Test("redis-benchmark runs through the tunnel with kept and with new connections", arguments: [true, false])
        func benchmark(kept: Bool) async throws {
            try await withRedis { scene, tunnel in
                let requests = kept ? 20_000 : 2_000
                let port = "\(tunnel.endpoint().port)"
                let run = try await scene.run(
                    try program("redis-benchmark"),
                    ["-h", "127.0.0.1", "-p", port, "-k", kept ? "1" : "0", "-n", "\(requests)", "-c", "20", "-q"]
                        + ["-d", "100", "-r", "1000", "-t", "set,get"])
                #expect(run.succeeded)
                #expect(!run.errors.contains("Error"))
                // Progress lines end in carriage returns, results in newlines.
                let results = run.output.split(whereSeparator: \.isNewline).filter {
                    $0.contains("requests per second")
                }
                #expect(results.contains { $0.contains("SET: ") })
                #expect(results.contains { $0.contains("GET: ") })

                // Redis itself counts what reached it.
                let statistics = try await scene.run(
                    try program("redis-cli"), ["-h", "127.0.0.1", "-p", port, "info", "all"])
                #expect(try field("cmdstat_set:calls", of: statistics.output) == requests)
                #expect(try field("cmdstat_get:calls", of: statistics.output) == requests)
                let connections = try field("total_connections_received", of: statistics.output)
                #expect(kept ? connections < 100 : connections >= 2 * requests)
            }
        }

        @Test("redis-cli sets and gets a value of 1 MiB")
        func largeValue() async throws {
            try await withRedis { scene, tunnel in
                let value = Data(Pattern.bytes(seed: 1, count: 768 * 1024)).base64EncodedString()
                #expect(value.utf8.count == 1 << 20)
                try scene.write(value, to: "value")
                let redis = ["-h", "127.0.0.1", "-p", "\(tunnel.endpoint().port)"]
                let set = try await scene.run(
                    try program("redis-cli"), redis + ["-x", "SET", "large"], input: scene.path("value"))
                #expect(set.output == "OK\n")
                let get = try await scene.run(try program("redis-cli"), redis + ["--raw", "GET", "large"])
                let isEqual = get.output == value + "\n"
                #expect(isEqual)
            }
        }

        /// A number of `redis-cli info`, after `name` and whatever one character parts them.
        private func field(_ name: String, of text: String) throws -> Int {
            let line = try #require(text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) })
            return try #require(Int(line.dropFirst(name.count + 1).prefix { $0.isNumber }))
        }

        private func withRedis(_ body: (Scene, Tunnel) async throws -> Void) async throws {
            try await withScene { scene in
                let target = try scene.reservedPort().endpoint
                let redis = try scene.start(
                    try program("redis-server"),
                    ["--bind", "127.0.0.1", "--port", "\(target.port)", "--save", "", "--appendonly", "no"])
                try await waitUntilAccepting(target, by: redis)
                let tunnel = try await scene.tunnel(TunnelPlan("redis", to: target))
                try await body(scene, tunnel)
                try await tunnel.stop()
            }
        }
    }
}
