// iperf3 through the tunnel: a control connection and data connections that begin and end together.

import Foundation
import Glibc
import Testing

extension OneAtATime {
    @Suite("iperf3")
    struct IperfTests {
        @Test(
            "iperf3 measures forward, in reverse, over 8 and 64 streams and in both directions at once",
            arguments: [
                ["-n", "256M"], ["-n", "256M", "-R"], ["-n", "256M", "-P", "8"], ["-n", "256M", "-P", "8", "-R"],
                ["-n", "1G", "-P", "64"], ["-n", "1G", "-P", "64", "-R"], ["-t", "2", "--bidir"],
            ])
        func measures(options: [String]) async throws {
            try await withScene { scene in
                let target = try scene.reservedPort().endpoint
                let iperf = try program("iperf3")
                let server = try scene.start(
                    iperf, ["-s", "-1", "--forceflush", "-B", "127.0.0.1", "-p", "\(target.port)"],
                    name: "iperf3-server")
                // Not by connecting: this server serves one test and a connection is one.
                try await eventually("iperf3 listens") { server.output.contains("Server listening") }
                let tunnel = try await scene.tunnel(TunnelPlan("iperf", to: target))

                let run = try await scene.run(
                    iperf, ["-c", "127.0.0.1", "-p", "\(tunnel.endpoint().port)", "-J"] + options)
                #expect(run.succeeded, "\(run.output.suffix(500))")
                let decoder = JSONDecoder()
                decoder.keyDecodingStrategy = .convertFromSnakeCase
                let report = try decoder.decode(Report.self, from: Data(run.output.utf8))
                #expect(report.error == nil)
                // iperf3 does not count what is still under way when the test ends. The kernel's buffers, which
                // differ between machines, decide how much that is: of 256 MiB over eight streams 60 % were seen.
                for (sent, received) in report.end.sums {
                    #expect(received >= 1 << 20)
                    #expect(received <= sent)
                }
                // One entry per stream and direction, and none of them starved.
                let parallel = options.firstIndex(of: "-P").flatMap { Int(options[$0 + 1]) }
                let streams = parallel ?? (options.contains("--bidir") ? 2 : 1)
                #expect(report.end.streams.count == streams)
                #expect(report.end.streams.allSatisfy { $0.receiver.bytes > 0 })
                #expect(try await server.waitForEnd() == .exited(0))
                try await tunnel.stop()
            }
        }

        private struct Report: Decodable {
            struct Sum: Decodable { let bytes: Int }
            struct Stream: Decodable { let receiver: Sum }
            struct End: Decodable {
                let streams: [Stream]
                let sumSent: Sum
                let sumReceived: Sum
                let sumSentBidirReverse: Sum?
                let sumReceivedBidirReverse: Sum?

                var sums: [(sent: Int, received: Int)] {
                    var sums = [(sumSent.bytes, sumReceived.bytes)]
                    if let sent = sumSentBidirReverse, let received = sumReceivedBidirReverse {
                        sums.append((sent.bytes, received.bytes))
                    }
                    return sums
                }
            }
            let end: End
            let error: String?
        }
    }
}
