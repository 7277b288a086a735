// A loop of the client gets other settings. What is taken out is closed before what is new is opened: an address may go
// from one service to another.
internal import Settings
internal import Synchronization
internal import Wire

/// Listening sockets that are given up on every loop; the last one stops them.
final class Closing: Sendable {
    let sockets: [ListeningSocket]
    private let loopsLeft: Atomic<Int>

    init(_ sockets: [ListeningSocket], on loops: Loops<ClientRole>) {
        self.sockets = sockets
        loopsLeft = Atomic(loops.pairs)
    }

    /// True for the last loop that asks.
    fileprivate func isLast() -> Bool {
        loopsLeft.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0
    }
}

extension ClientSettings {
    /// Whether streams of `service` share carriers.
    func shares(_ service: ServiceID) -> Bool { services[service]?.carrier != .own }
}

extension ClientShared {
    /// From now on `settings` hold, and nobody accepts at the sockets of `closing`. They must not differ in what needs
    /// another start. Every loop is told by letter, and calls `done` then; returns how many of them will.
    @discardableResult
    func apply(
        _ settings: ClientSettings, closing: [ListeningSocket], to loops: Loops<ClientRole>,
        done: @escaping @Sendable () -> Void = {}
    ) -> Int {
        replaceSettings(by: settings)
        let closing = Closing(closing, on: loops)
        return loops.doors.count { door in
            door.send { role in
                role.adopt(settings, closing: closing)
                done()
            }
        }
    }

    /// Every loop that accepts does so at `sockets` too.
    @discardableResult
    func listen(
        on sockets: [(service: ServiceID, socket: ListeningSocket)], of loops: Loops<ClientRole>,
        done: @escaping @Sendable () -> Void = {}
    ) -> Int {
        loops.doors.count { door in
            door.send { role in
                if role.shard.kind != .heavy, !role.shard.isDraining { role.listen(on: sockets) }
                done()
            }
        }
    }
}

extension ClientRole {
    /// `settings` hold from now on. Streams go on, whatever became of their service.
    func adopt(_ settings: ClientSettings, closing: Closing) {
        replaceSettings(by: settings)
        for listener in listeners {
            if let service = listener.service { listener.sharesCarriers = settings.shares(service) }
        }
        if shard.kind != .heavy { stop(closing) }
    }

    private func stop(_ closing: Closing) {
        let isLast = closing.isLast()
        let gone = listeners.filter { listener in closing.sockets.contains { $0 === listener.socket } }
        // The last loop takes what the kernel has completed already: those connected while the service was there.
        for listener in gone { isLast ? listener.close() : listener.leave(isLast: false) }
        forgetListeners { listener in gone.contains { $0 === listener } }
    }
}
