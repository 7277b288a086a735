// A thief with a recording of everything a genuine client ever said to the server.

import Testing

extension OneAtATime {
    @Suite("Stolen recordings")
    struct HostileReplayTests {
        @Test("A whole recorded conversation played to the server again opens no stream")
        func replay() async throws {
            try await withScene { scene in
                let rig = try await HostileRig.start(in: scene, lanes: 2)
                let recorded = try await eventually("pairings and resumptions with streams are recorded") {
                    try await exchangeTwoAtOnce(rig)
                    let carriers = rig.tap.recorded.compactMap { $0[.toServer] }
                    let used = carriers.filter { $0.contains { $0.kind == CarrierUnit.open } }
                    let kinds = Set(used.map(\.first!.kind))
                    return kinds == [CarrierUnit.pair, CarrierUnit.resume] ? carriers : nil
                }
                try await eventually("the service is at rest") { rig.service.active == 0 }
                let before = rig.service.accepted

                // While the conversation lives; and again to a server that knows nothing of it any more.
                try await play(recorded, to: rig)
                #expect(rig.service.accepted == before, "a replayed stream reached the target")
                try await rig.expectAlive()
                try await eventually("the service is at rest") { rig.service.active == 0 }

                rig.tunnel.server.kill()
                try await rig.tunnel.startServer()
                let after = rig.service.accepted
                try await play(recorded, to: rig)
                #expect(rig.service.accepted == after, "a replayed stream reached the target after a restart")
                try await rig.expectAlive()
                #expect(rig.service.mostVisits == 1, "the service saw an exchange again")
            }
        }

        /// The second of two streams at once needs a carrier of its own.
        private func exchangeTwoAtOnce(_ rig: HostileRig) async throws {
            let endpoint = rig.lanes[0].endpoint
            let held = SmallExchange()
            try await onThread {
                let socket = try Socket.connect(to: endpoint)
                try socket.send(held.request)
                try demand(socket.receive(exactly: SmallExchange.size) == held.answer, "a wrong answer")
                let exchange = SmallExchange()
                try demand(exchange.perform(through: endpoint).isWhole(exchange.answer), "a broken exchange")
                try socket.finish()
                try demand(socket.received() == Received(bytes: [], end: .orderly), "no orderly end")
            }
        }

        /// Plays each carrier twice: all at once, and unit by unit, each after the server's answer to the one before.
        private func play(_ carriers: [[CarrierUnit]], to rig: HostileRig) async throws {
            let server = rig.tunnel.serverEndpoint
            try await withThrowingTaskGroup(of: Void.self) { group in
                for units in carriers {
                    group.addTask {
                        let received = try await onThread {
                            try Stranger(name: "replay", says: units.flatMap(\.bytes)).visit(server)
                        }
                        #expect(received.end != .silence)
                        // A replayed first message is genuine, so it may be answered; no frame may be.
                        #expect(
                            [0, 4, 68, 1196].contains(received.bytes.count), "\(received.bytes.count) bytes came back")
                    }
                    group.addTask {
                        let end = try await onThread {
                            let socket = try Socket.connect(to: server)
                            try socket.send(units[0].bytes)
                            let answer = socket.receiveToEnd(atMost: 1)
                            guard answer.end == .enough else { return answer.end }
                            for unit in units.dropFirst() { try? socket.send(unit.bytes) }
                            return socket.received().end
                        }
                        #expect(end != .silence)
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
