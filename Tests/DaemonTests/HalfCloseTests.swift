// Ends of one direction: each is carried over as itself, and the other direction lives on.

import Foundation
import Glibc
import Testing

@Suite("Half-close", .timeLimit(.minutes(3)))
struct HalfCloseTests {
    @Test("After a request and its end, an answer of 100 MB arrives whole")
    func answerAfterEnd() async throws {
        try await withScene { scene in
            let requests = Inbox<[UInt8]>()
            let service = scene.keep(try .answering(seed: 11, count: 100_000_000, requests: requests))
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect()
            let answer = try await onThread {
                try socket.send("the request")
                try socket.finish()
                return try socket.digestToEnd()
            }
            #expect(answer == Pattern.digest(seed: 11, count: 100_000_000))
            #expect(try await requests.next() == Array("the request".utf8))
            try await tunnel.stop()
        }
    }

    @Test("A service that ends first still receives all that the application goes on to send")
    func serviceEndsFirst() async throws {
        try await withScene { scene in
            let arrived = Inbox<Digest>()
            let service = try scene.service { connection in
                try connection.send("done with sending")
                try connection.finish()
                arrived.put(try connection.digestToEnd())
            }
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let socket = try await tunnel.connect()
            let greeting = try await onThread {
                let greeting = try socket.receiveToEnd()
                try socket.sendPattern(seed: 12, count: 20_000_000)
                try socket.finish()
                return greeting
            }
            #expect(greeting == Array("done with sending".utf8))
            #expect(try await arrived.next() == Pattern.digest(seed: 12, count: 20_000_000))
            try await tunnel.stop()
        }
    }

    /// How an application of the tests below ends its direction.
    enum Ending: CaseIterable {
        /// Its end travels alone.
        case end
        /// The last byte and the end are one segment.
        case endWithLastBytes
        /// It closes the socket and is gone.
        case close
    }

    @Test("500 connections without a byte all end in order on both sides", arguments: [Ending.end, .close])
    func withoutBytes(ending: Ending) async throws {
        try await manyShort(ending, bytes: 0)
    }

    @Test("500 connections whose few bytes and end arrive together all end in order on both sides")
    func bytesAndEndTogether() async throws {
        try await manyShort(.endWithLastBytes, bytes: 100)
    }

    /// 500 connections, ten at a time; the service's view and the application's are both checked.
    private func manyShort(_ ending: Ending, bytes count: Int) async throws {
        try await withScene { scene in
            let arrived = Inbox<Digest>()
            let service = scene.keep(try .sink(into: arrived))
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let endpoint = tunnel.endpoint()
            let orderly = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        try await onThread { try (0..<50).count { _ in try short(endpoint, ending, count) } }
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(orderly == 500)
            try await eventually("500 orderly ends at the service") { arrived.count == 500 }
            let expected = Pattern.digest(seed: 13, count: count)
            #expect(arrived.takeAll().allSatisfy { $0 == expected })
            #expect(service.accepted == 500)
            try await tunnel.stop()
        }
    }

    @Test("A service whose last bytes and end arrive together is heard to the last byte, 500 times")
    func serviceBytesAndEndTogether() async throws {
        try await withScene { scene in
            let service = try scene.service { connection in
                try connection.sendAndFinish(Pattern.bytes(seed: 14, count: 100))
                _ = try connection.receiveToEnd()
            }
            let tunnel = try await scene.tunnel(TunnelPlan(to: service.endpoint))
            let endpoint = tunnel.endpoint()
            let whole = try await onThread {
                try (0..<500).count { _ in
                    let socket = try Socket.connect(to: endpoint)
                    return try socket.receiveToEnd() == Pattern.bytes(seed: 14, count: 100)
                }
            }
            #expect(whole == 500)
            try await tunnel.stop()
        }
    }
}

/// One short connection; whether it ended in order as the application sees it.
private func short(_ endpoint: Endpoint, _ ending: HalfCloseTests.Ending, _ count: Int) throws -> Bool {
    let socket = try Socket.connect(to: endpoint)
    switch ending {
    case .end:
        try socket.finish()
    case .endWithLastBytes:
        try socket.sendAndFinish(Pattern.bytes(seed: 13, count: count))
    case .close:
        socket.close()
        return true
    }
    return try socket.receiveToAnyEnd() == ([], .orderly)
}

extension Socket {
    /// Sends so that the end travels in the segment of the last bytes.
    func sendAndFinish(_ bytes: [UInt8]) throws {
        let sent = bytes.withUnsafeBytes {
            Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_MORE))
        }
        guard sent == bytes.count else { throw SocketError(call: "send", code: errno) }
        try finish()
    }
}
