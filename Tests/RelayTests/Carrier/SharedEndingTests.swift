import Settings
import Testing
import Wire

@testable import Relay

/// How streams of a shared carrier end, and how the carrier does.
@Suite struct SharedEndingTests {
    @Test("Either end may close first, and the other direction goes on", arguments: [true, false])
    func halfClose(_ clientFirst: Bool) throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open()
        let (first, second) =
            clientFirst ? (stream.application, stream.target) : (stream.target, stream.application)
        first.write([1, 2])
        first.shutdownWrite()
        tunnel.settle()
        #expect(second.readAll() == ([1, 2], .ended))
        for round in 0..<20 as Range<UInt8> {
            second.write([round])
            tunnel.settle()
            #expect(first.read() == .bytes([round]))
        }
        #expect(tunnel.client.sharedStreams == 1 && tunnel.server.sharedStreams == 1)
        second.shutdownWrite()
        tunnel.settle()
        #expect(first.read() == .ended)
        #expect(tunnel.client.sharedStreams == 0 && tunnel.server.sharedStreams == 0 && tunnel.lent == 0)
        #expect(tunnel.clientOwner.calls.count { $0 == .lostStream } == 1)
        tunnel.expectUnbroken()
    }

    @Test(
        "A stream that is refused ends alone, with its reason",
        arguments: CloseReason.allCases.filter { $0 != .draining && $0 != .withdrawn })
    func refused(_ reason: CloseReason) throws {
        let (forger, apps) = try Forger.sharing(posingAs: .server, streams: 2, apps: .tcp)
        forger.say(.refused(1, reason))
        #expect(forger.bench.ending(apps[0]).then == .broken(TestSocket.connectionReset))
        forger.say(.data(2, [7]))
        #expect(forger.bench.turn { apps[1].read() == .bytes([7]) })
        #expect(forger.carrier.phase == .shared && forger.bench.shard.counters.brokenStreams == 1)
    }

    @Test("A stream that is refused because the conversation is over is given back, unless the server had answered it")
    func givenBack() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .server, streams: 2, apps: .tcp)
        apps[0].write([1, 2, 3])
        forger.settle()
        forger.say(.data(2, [7]), .refused(1, .draining), .refused(2, .draining))
        #expect(forger.bench.ending(apps[1]).then == .broken(TestSocket.connectionReset))
        #expect(forger.owner.calls.filter { if case .givenBack = $0 { true } else { false } } == [.givenBack(3)])
        #expect(forger.carrier.phase == .shared && forger.bench.shard.counters.brokenStreams == 1)
        #expect(forger.carrier.sharedStreams == 0)
    }

    @Test("A server refuses one stream and serves the next")
    func refuses() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.say(.open(1), .data(1, [1]), .open(2))
        forger.settle()
        #expect(forger.owner.calls.starts(with: [.confirmed, .shared]))
        try #require(forger.owner.seekers.count == 2)
        let (failing, good) = (forger.owner.seekers[0], forger.owner.seekers[1])
        failing.dialled(.timedOut)
        let (endpoint, target) = forger.bench.accepted()
        good.dialled(.connected(endpoint))
        target.write([3])
        forger.settle()
        #expect(forger.receivedRecords() == [.refused(1, .targetTimedOut), .data(2, [3])])
        #expect(failing.isOver && !good.isOver && forger.carrier.sharedStreams == 1)
    }

    @Test("A reset by either application ends its stream and no other", arguments: [Side.client, .server])
    func reset(_ side: Side) throws {
        let other: Side = side == .client ? .server : .client
        let (forger, apps) = try Forger.sharing(posingAs: other, streams: 2, apps: .tcp)
        apps[0].reset()
        let reason = side == .client ? CloseReason.applicationReset : .targetReset
        var said: [Record] = []
        #expect(
            forger.bench.turn {
                said += forger.receivedRecords()
                return !said.isEmpty
            })
        #expect(said == [.abort(1, reason)])
        forger.say(.data(2, [7]))
        #expect(forger.bench.turn { apps[1].read() == .bytes([7]) })
        #expect(forger.carrier.phase == .shared && forger.carrier.sharedStreams == 1)
    }

    @Test("Link loss resets every stream that is not complete", arguments: [Side.client, .server], [false, true])
    func lost(_ role: Side, _ halfClosed: Bool) throws {
        let (forger, apps) = try Forger.sharing(posingAs: role, streams: 3, apps: .tcp)
        if halfClosed {
            forger.say(.fin(1, total: 0))
            #expect(forger.bench.turn { apps[0].read() == .ended })
            apps[1].shutdownWrite()
            #expect(forger.bench.turn { forger.receivedRecords().contains(.fin(2, total: 0)) })
        }
        forger.link.close()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        for (index, app) in apps.enumerated() {
            let then = forger.bench.ending(app).then
            // With FIN delivered the application has had its orderly end before.
            #expect(then == (halfClosed && index == 0 ? .ended : .broken(TestSocket.connectionReset)))
        }
        #expect(forger.owner.lostBecause != nil)
        let counters = forger.bench.shard.counters
        #expect(
            counters.brokenStreams == 3 && counters.streamsOpen == 0
                && forger.bench.shard.lingerers(SharedStream.self) == 0)
    }

    @Test("A complete stream whose application rests gets its last bytes, though the link is lost")
    func outlives() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .server, streams: 2)
        // Until the socket is full and a backlog stands behind it.
        let bytes = forger.fillWindow(of: 1)
        forger.say(.fin(1, total: bytes.count))
        apps[0].shutdownWrite()
        #expect(forger.bench.turn { forger.receivedRecords().contains(.fin(1, total: 0)) })
        forger.link.close()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.bench.shard.lingerers(SharedStream.self) == 1)
        let (received, then) = forger.bench.ending(apps[0])
        #expect(received == bytes && then == .ended)
        #expect(forger.bench.shard.lingerers(SharedStream.self) == 0)
        let counters = forger.bench.shard.counters
        #expect(counters.streamsOpen == 0 && counters.brokenStreams == 1, "the other one was not complete")
    }

    @Test("Whose application never takes its last bytes is reset when the drain time is over, not waited for")
    func outlivesInVain() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .server, apps: .narrowTCP)
        let bytes = forger.fillWindow(of: 1)
        forger.say(.fin(1, total: bytes.count))
        apps[0].shutdownWrite()
        #expect(forger.bench.turn { forger.receivedRecords().contains(.fin(1, total: 0)) })
        forger.link.close()
        #expect(forger.bench.turn { forger.bench.shard.lingerers(SharedStream.self) == 1 })
        forger.bench.shard.cut()
        #expect(forger.bench.shard.lingerers(SharedStream.self) == 0 && forger.bench.shard.counters.streamsOpen == 0)
        #expect(forger.bench.ending(apps[0]).then == .broken(TestSocket.connectionReset))
    }

    @Test(
        "A stream that has ended both ways is reset all the same if its last words have not left when the link breaks")
    func lastWordsLost() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .server, apps: .narrowTCP)
        let bytes = forger.fillWindow(of: 1)
        forger.say(.fin(1, total: bytes.count))
        forger.settle()
        _ = try forger.fillLink()
        apps[0].write([1, 2, 3])
        apps[0].shutdownWrite()
        #expect(forger.bench.turn { forger.carrier.outStart < forger.carrier.outEnd })
        #expect(forger.carrier.hasOnlyLastBytes)
        forger.link.close()
        #expect(forger.bench.turn { forger.carrier.phase == .closed })
        #expect(forger.owner.lostBecause != nil && forger.bench.shard.lingerers(SharedStream.self) == 0)
        #expect(forger.bench.ending(apps[0]).then == .broken(TestSocket.connectionReset))
    }

    @Test("A server that leaves says so, takes what is under way to its end, and closes in order")
    func leaving() throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open()
        tunnel.server.retire()
        tunnel.settle()
        #expect(tunnel.clientOwner.calls.contains(.leaves))
        #expect(!tunnel.client.takesStreams)
        tunnel.run([
            Flow(100_000, from: stream.application, to: stream.target, largest: 3000, seed: 1),
            Flow(100_000, from: stream.target, to: stream.application, largest: 3000, seed: 2),
        ])
        #expect(tunnel.turn { tunnel.client.phase == .closed && tunnel.server.phase == .closed })
        #expect(tunnel.clientOwner.endedInOrder && tunnel.serverOwner.endedInOrder)
        #expect(tunnel.bench.shard.counters.brokenStreams == 0 && tunnel.lent == 0)
    }

    @Test("A stream whose OPEN crosses LEAVING is served, and the server closes behind the client")
    func openCrossesLeaving() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.say(.open(1))
        forger.settle()
        forger.owner.seekers.removeFirst().refuse(.targetRefused)
        forger.carrier.retire()
        forger.settle()
        #expect(forger.received().map(\.type) == [.bundle, .leaving])
        #expect(forger.carrier.phase == .shared && forger.owner.ending == nil)
        let target = try forger.sharedApp(2)
        forger.say(.data(2, [1, 2, 3]))
        target.write([4])
        forger.settle()
        #expect(target.read() == .bytes([1, 2, 3]))
        #expect(forger.receivedRecords() == [.data(2, [4])])
        forger.say(.fin(2, total: 3))
        target.shutdownWrite()
        forger.settle()
        #expect(forger.carrier.sharedStreams == 0 && forger.carrier.phase == .shared)
        forger.link.close()
        forger.settle()
        #expect(forger.owner.endedInOrder)
    }

    @Test("A client that logs off loses no byte that is still on its way, though its link is full")
    func logsOffBehindLastBytes() throws {
        let (forger, applications) = try Forger.sharing(posingAs: .server)
        let filler = try forger.fillLink()
        var generator = SeededGenerator(seed: 77)
        let bytes = generator.bytes(10_000)
        applications[0].write(bytes)
        applications[0].shutdownWrite()
        forger.say(.fin(1, total: 0))
        #expect(forger.bench.turn { forger.carrier.sharedStreams == 0 })
        #expect(forger.carrier.outStart < forger.carrier.outEnd)
        forger.carrier.sayBye()
        forger.settle()
        #expect(forger.owner.ending == nil)
        #expect(forger.bench.turn { forger.pour(filler) })
        var frames: [Forger.Frame] = []
        #expect(
            forger.bench.turn {
                frames += forger.received()
                return frames.last?.type == .bye
            })
        let records = frames.filter { $0.type == .bundle }.flatMap(Forger.records)
        #expect(records.filter { $0.kind == .data }.flatMap(\.payload) == bytes)
        #expect(records.last == .fin(1, total: bytes.count))
        #expect(forger.owner.ending == nil, "it waits until the server has everything")
        forger.link.close()
        forger.settle()
        #expect(forger.owner.endedInOrder)
    }

    @Test("A client that leaves does not wait longer than until the server's kernel has everything")
    func leavesByItself() throws {
        let (forger, applications) = try Forger.sharing(posingAs: .server, link: .tcp)
        forger.carrier.retire()
        applications[0].shutdownWrite()
        forger.say(.fin(1, total: 0))
        #expect(forger.bench.turn { forger.carrier.phase == .leaving })
        #expect(
            forger.bench.turn {
                forger.bench.pass(.milliseconds(100))
                return forger.carrier.phase == .closed
            })
        #expect(forger.owner.endedInOrder)
    }

    @Test("BYE while a target still has to take the last bytes is in order, and it gets them")
    func byeBeforeLastBytes() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client)
        // More than its socket takes: the rest waits behind it.
        let bytes = forger.fillWindow(of: 1)
        apps[0].shutdownWrite()
        forger.settle()
        forger.say(.fin(1, total: bytes.count))
        forger.send(.bye)
        forger.settle()
        #expect(forger.owner.calls.contains(.bye))
        forger.carrier.end(.orderly)
        let (received, then) = forger.bench.ending(apps[0])
        #expect(received == bytes && then == .ended)
        #expect(forger.bench.shard.counters.brokenStreams == 0 && forger.bench.shard.lingerers(SharedStream.self) == 0)
    }

    @Test("BYE after a stream was given up whose target is not connected yet is in order")
    func byeBeforeTarget() throws {
        let (forger, apps) = try Forger.sharing(posingAs: .client)
        forger.say(.open(2), .data(2, [1, 2]))
        try #require(forger.bench.turn { !forger.owner.seekers.isEmpty })
        forger.say(.abort(2, .applicationReset))
        forger.settle()
        apps[0].shutdownWrite()
        forger.say(.fin(1, total: 0))
        forger.settle()
        forger.send(.bye)
        forger.settle()
        #expect(forger.owner.calls.contains(.bye) && forger.owner.lostBecause == nil)
    }

    @Test("A client that leaves is done when its streams are, and an empty carrier at once")
    func clientLeaves() throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open()
        tunnel.client.retire()
        tunnel.settle()
        #expect(tunnel.client.phase == .shared && !tunnel.client.takesStreams)
        stream.application.shutdownWrite()
        stream.target.shutdownWrite()
        #expect(tunnel.turn { tunnel.client.phase == .closed && tunnel.server.phase == .closed })
        #expect(tunnel.clientOwner.endedInOrder && tunnel.serverOwner.endedInOrder)

        let empty = try Trunk()
        empty.settle()
        empty.client.retire()
        empty.settle()
        #expect(empty.client.phase == .closed && empty.clientOwner.endedInOrder)
    }

    @Test("BYE on a shared carrier without streams reaches the server's owner")
    func bye() throws {
        let tunnel = try Trunk()
        let stream = try tunnel.open()
        stream.application.shutdownWrite()
        stream.target.shutdownWrite()
        tunnel.settle()
        tunnel.client.sayBye()
        tunnel.settle()
        #expect(tunnel.serverOwner.calls.contains(.bye))
        #expect(tunnel.clientOwner.endedInOrder && tunnel.serverOwner.endedInOrder)
    }

    @Test("A stream that waits for its target when the carrier ends is over, and its target is not wanted any more")
    func lostWhileDialing() throws {
        let forger = try Forger(posingAs: .client)
        forger.send(.confirm)
        forger.say(.open(1), .data(1, [1, 2, 3]))
        forger.settle()
        let stream = try #require(forger.owner.seekers.first)
        forger.link.close()
        forger.settle()
        #expect(stream.isOver && !stream.awaitsTarget)
        stream.refuse(.targetUnreachable)
        #expect(forger.bench.shard.counters.streamsOpen == 0)
    }
}
