// Much data, small data, many connections.

import Foundation
import Glibc
import Synchronization
import Testing

extension OneAtATime {
    @Suite("Data")
    struct BulkTests {
        @Test("One connection carries 1 GiB both ways at once, and both hashes are equal")
        func bothWays() async throws {
            let count = 1 << 30
            try await withScene { scene in
                let arrived = Inbox<Digest>()
                let service = try scene.service { connection in
                    let sending = startThread {
                        try? connection.sendPattern(seed: 2, count: count)
                        try? connection.finish()
                    }
                    arrived.put(try connection.digestToEnd())
                    sending.join()
                }
                let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
                let socket = try await tunnel.connect()
                async let sent: Void = onThread {
                    try socket.sendPattern(seed: 1, count: count)
                    try socket.finish()
                }
                async let received = onThread { try socket.digestToEnd() }
                async let expectedHere = onThread { Pattern.digest(seed: 2, count: count) }
                async let expectedThere = onThread { Pattern.digest(seed: 1, count: count) }
                try await sent
                #expect(try await received == expectedHere)
                #expect(try await arrived.next("what the service received") == expectedThere)
                try await tunnel.stop()
            }
        }

        @Test("10,000 writes of one byte arrive as the same bytes, and their echoes too")
        func oneByteWrites() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint))
                let socket = try await tunnel.connect()
                let bytes = Pattern.bytes(seed: 3, count: 10_000)
                async let answer = onThread { try socket.receiveToEnd() }
                try await onThread {
                    try socket.setNoDelay()
                    for byte in bytes { try socket.send([byte]) }
                    try socket.finish()
                }
                let isEqual = try await answer == bytes
                #expect(isEqual)
                try await tunnel.stop()
            }
        }

        @Test("2,000 connections idle at once, and then every one of them is used")
        func manyIdle() async throws {
            let count = 2000
            try #require(descriptorLimit > 3 * count)
            try await withScene { scene in
                let echo = try scene.echo()
                // More of them wait at once here than a client holds by default.
                let plan = TunnelPlan(to: echo.endpoint).with { $0.waiting = "{connections: 4096, timeout: 60s}" }
                let tunnel = try await scene.tunnel(plan)
                let endpoint = tunnel.endpoint()
                let sockets = try await onThread {
                    try (0..<count).map { _ in try Socket.connect(to: endpoint) }
                }
                try await eventually("the service has \(count) connections", within: .seconds(60)) {
                    echo.active == count
                }
                let right = try await onThread {
                    for (number, socket) in sockets.enumerated() {
                        try socket.send(Pattern.bytes(seed: UInt64(number), count: 100))
                    }
                    return try sockets.enumerated().count { number, socket in
                        try socket.receive(exactly: 100) == Pattern.bytes(seed: UInt64(number), count: 100)
                    }
                }
                #expect(right == count)
                for socket in sockets { socket.close() }
                try await eventually("the service's connections have ended", within: .seconds(60)) { echo.active == 0 }
                try await tunnel.stop()
            }
        }

        @Test("A stream that reads greedily does not starve the others of its shard, nor they it")
        func greedy() async throws {
            try await withScene { scene in
                let echo = try scene.echo()
                let source = try scene.service { connection in
                    // Until the application has had enough and the connection breaks.
                    try connection.sendPattern(seed: 4, count: .max)
                }
                let plan = TunnelPlan(
                    .init(name: "bulk", target: source.endpoint.description),
                    .init(name: "ping", target: echo.endpoint.description)
                ).with { $0.shards = "1" }
                let tunnel = try await scene.tunnel(plan)

                let greedy = try await tunnel.connect("bulk")
                let read = Counter()
                startThread { _ = try? greedy.digestToEnd { read.set($0) } }
                try await eventually("the bulk stream runs") { read.value > 10_000_000 }

                let socket = try await tunnel.connect("ping")
                let before = read.value
                let answered = try await onThread {
                    try socket.setNoDelay()
                    return try (0..<200).count { number in
                        let ping = Pattern.bytes(seed: UInt64(number), count: 64)
                        try socket.send(ping)
                        return try socket.receive(exactly: 64) == ping
                    }
                }
                #expect(answered == 200)
                let after = read.value
                #expect(after > before)
                try await eventually("the bulk stream still runs") { read.value > after }
                greedy.interrupt()
                socket.close()
                try await eventually("both have ended") { echo.active == 0 && source.active == 0 }
                try await tunnel.stop()
            }
        }
    }
}

/// How far a thread has come.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func set(_ value: Int) { count.store(value, ordering: .relaxed) }
}
