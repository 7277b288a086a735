// What a daemon is made of: nothing in it has a life of its own that would wake an idle machine.

import Foundation
import Testing

@Suite("Threads", .timeLimit(.minutes(2)))
struct ThreadTests {
    @Test("A daemon has the threads it starts itself and no others")
    func ownThreadsAlone() async throws {
        try await withScene { scene in
            let echo = try scene.echo()
            let tunnel = try await scene.tunnel(TunnelPlan(to: echo.endpoint).with { $0.shards = "1" })
            // What starts others, starts them at the latest for work: a pairing, a stream, an end.
            try await expectEcho(tunnel)
            for child in [tunnel.server, tunnel.client] {
                let names = Set(try threadNames(of: child))
                #expect(names == ["oncewire", "shard-0", "heavy-0", "pairing"], "\(child.name)")
            }
            try await tunnel.stop()
        }
    }

    private func threadNames(of child: Child) throws -> [String] {
        let tasks = URL(filePath: "/proc/\(child.pid)/task")
        return try FileManager.default.contentsOfDirectory(at: tasks, includingPropertiesForKeys: nil).map {
            try String(contentsOf: $0.appending(path: "comm"), encoding: .utf8).trimmingCharacters(in: .newlines)
        }
    }
}
