// Everything one daemon listens on. What cannot be had at start is tried again every second beside the rest, so that
// one port that is taken does not stop the other services.
internal import Glibc
internal import Pairing
package import Settings
package import Wire

/// What a daemon listens on.
package struct BoundListener: Sendable {
    /// The service behind it; nil for the server's own listener.
    package let service: ServiceID?
    /// The address, with the real port where 0 was configured.
    package let address: Address
}

/// The listening sockets of a daemon: made by `open`, tried again from `keepTrying` until `stop`.
final class ListenerSet: Sendable {
    /// One address of the configuration.
    struct Wanted: Sendable {
        /// Whose connections come there; nil for the server's own.
        let service: ServiceID?
        let address: Address
    }

    /// One socket, and where it listens or shall listen.
    private struct Place: Sendable {
        let wanted: Wanted
        let socket: ListeningSocket
        /// Nil while the name is not known.
        var target: SocketAddress?
        /// What keeps it from listening; nil if it does.
        var trouble: RelayError?
        /// It listens at an address that this host does not have, and the name has others.
        var isSpare = false

        /// Whether it counts as missing. A name that is not known has two sockets and is one.
        var isMissing: Bool { trouble != nil && (target != nil || socket.family == AF_INET) }
    }

    private let resetting: Bool
    private let events: @Sendable (RelayEvent) -> Void
    private let places = Guarded<[Place]>([])
    /// Held by whoever changes places: the thread that tries again, or a change of the configuration.
    private let work = Guarded(Work())
    private struct Work {
        /// There is a thread that tries again.
        var isTrying = false
    }
    private let end = Latch()

    /// How often what is missing is tried again, seconds; names, in rounds of that.
    private static let pause = 1
    private static let roundsPerLookUp = 5
    /// How often what is still missing is said again, in rounds.
    private static let roundsPerReminder = 600

    /// `resetting` is what connections have as `resetsByDefault`.
    init(resetting: Bool, events: @escaping @Sendable (RelayEvent) -> Void) {
        self.resetting = resetting
        self.events = events
    }

    /// The sockets, those that do not listen yet included.
    var sockets: [(service: ServiceID?, socket: ListeningSocket)] {
        places.withLock { $0.map { ($0.wanted.service, $0.socket) } }
    }

    /// Where connections can come now.
    var bound: [BoundListener] {
        places.withLock { places in
            places.compactMap { place in
                guard !place.isSpare, let address = place.socket.address else { return nil }
                return BoundListener(service: place.wanted.service, address: address)
            }
        }
    }

    // MARK: Start

    /// Listens wherever it can. Throws if that is nowhere. Names are looked up: not for a loop's thread.
    func open(_ wanted: [Wanted]) throws(RelayError) {
        var opened: [Place] = []
        var failures: [RelayError] = []
        // Names last: what they lead to may be listened on already.
        let isLiteral = { (wanted: Wanted) in SocketAddress(literal: wanted.address) != nil }
        for wanted in wanted.filter(isLiteral) + wanted.filter({ !isLiteral($0) }) {
            opened += made(wanted, beside: opened, &failures)
        }
        failures += opened.filter(\.isMissing).compactMap(\.trouble)
        // In the order of the configuration.
        let order = Dictionary(wanted.enumerated().map { (Key($1), $0) }, uniquingKeysWith: { first, _ in first })
        opened = opened.enumerated().sorted {
            (order[Key($0.element.wanted)] ?? 0, $0.offset) < (order[Key($1.element.wanted)] ?? 0, $1.offset)
        }.map(\.element)
        guard wanted.isEmpty || opened.contains(where: { $0.trouble == nil }) else {
            for place in opened { place.socket.stop() }
            throw failures.count == 1 ? failures[0] : .cannotListenAnywhere(failures)
        }
        tell(of: opened)
        places.withLock { $0 = opened }
    }

    private func made(_ wanted: Wanted, beside others: [Place], _ failures: inout [RelayError]) -> [Place] {
        let targets = Self.targets(wanted.address)
        return targets.isEmpty ? unknown(wanted) : open(wanted, targets, beside: others, &failures)
    }

    /// Tells of what is missing of `opened`.
    private func tell(of opened: [Place]) {
        let missing = opened.count(where: \.isMissing)
        for place in opened where place.isMissing {
            guard let trouble = place.trouble else { continue }
            events(.cannotListen(place.wanted.service, "\(trouble)", missing: missing))
        }
    }

    // MARK: Changes

    /// Gives up the places that are not among `wanted`. Returns their sockets, which still listen.
    func forget(notAmong wanted: [Wanted]) -> [ListeningSocket] {
        let keys = Set(wanted.map(Key.init))
        return work.withLock { _ in
            places.withLock { places in
                let gone = places.filter { !keys.contains(Key($0.wanted)) }
                places.removeAll { !keys.contains(Key($0.wanted)) }
                return gone.map(\.socket)
            }
        }
    }

    /// Listens at those of `wanted` that there are no places for yet. What cannot be had is told of and tried again. Names
    /// are looked up: not for a loop's thread.
    func add(_ wanted: [Wanted]) -> [(service: ServiceID?, socket: ListeningSocket)] {
        let made = work.withLock { _ in
            let present = places.withLock { $0 }
            let known = Set(present.map { Key($0.wanted) })
            var failures: [RelayError] = []
            var made: [Place] = []
            for wanted in wanted where !known.contains(Key(wanted)) {
                made += self.made(wanted, beside: present + made, &failures)
            }
            tell(of: made)
            places.withLock { $0 += made }
            return made
        }
        keepTrying()
        return made.map { ($0.wanted.service, $0.socket) }
    }

    private struct Key: Hashable {
        let service: ServiceID?
        let address: Address
        init(_ wanted: Wanted) { (service, address) = (wanted.service, wanted.address) }
    }

    /// The places of one address of the configuration whose name, if it is one, leads to `targets`.
    private func open(
        _ wanted: Wanted, _ targets: [SocketAddress], beside others: [Place], _ failures: inout [RelayError]
    ) -> [Place] {
        var places: [Place] = []
        var absent: [Int] = []
        for target in targets where !Self.isCovered(target, for: wanted.service, by: others) {
            let socket: ListeningSocket
            do throws(SocketError) {
                socket = try ListeningSocket(family: target.family, resetting: resetting)
            } catch {
                // A kernel without IPv6, most likely; of a name's addresses the others will do.
                if targets.count == 1 || error.errno != EAFNOSUPPORT {
                    let failure = RelayError.cannotListen(wanted.address, error.errno)
                    failures.append(failure)
                    events(.cannotListen(wanted.service, "\(failure)", missing: 1))
                }
                continue
            }
            var place = Place(wanted: wanted, socket: socket, target: target)
            // Where the kernel chooses the port, one for all addresses of a name.
            if target.port == 0, case .tcp(_, let port)? = places.first?.socket.address {
                place.target = target.with(port: port)
                if case .here? = listen(&place) {
                    places.append(place)
                    continue
                }
                place.target = target
            }
            if case .notYet? = listen(&place) { absent.append(places.count) }
            places.append(place)
        }
        let hasOthers = places.count > absent.count
        for index in absent {
            places[index].isSpare = hasOthers
            guard let address = places[index].socket.address else { continue }
            events(.addressIsMissing(wanted.service, address, hasOthers: hasOthers))
        }
        return places
    }

    /// A name that is not known gets a socket of each family, for when it is.
    private func unknown(_ wanted: Wanted) -> [Place] {
        [AF_INET, AF_INET6].compactMap { family in
            guard let socket = try? ListeningSocket(family: family, resetting: resetting) else { return nil }
            return Place(wanted: wanted, socket: socket, trouble: .unknownName(wanted.address))
        }
    }

    /// Whether `service` listens there already, itself or on all addresses.
    private static func isCovered(_ target: SocketAddress, for service: ServiceID?, by others: [Place]) -> Bool {
        guard target.isTCP, target.port != 0 else { return false }
        return others.contains { place in
            guard place.wanted.service == service, place.trouble == nil, let other = place.target else { return false }
            return other == target
                || other.family == target.family && other.port == target.port && other.isWildcard
        }
    }

    private static func targets(_ address: Address) -> [SocketAddress] {
        if let literal = SocketAddress(literal: address) { return [literal] }
        return Resolver.lookUp(address, isForListening: true) ?? []
    }

    /// Nil if it cannot be had now; `trouble` says why.
    private func listen(_ place: inout Place) -> ListeningSocket.Presence? {
        guard let target = place.target else { return nil }
        let name = target.isTCP ? target.asAddress ?? place.wanted.address : place.wanted.address
        do throws(SocketError) {
            let presence = try place.socket.listen(at: target, named: name)
            place.trouble = nil
            return presence
        } catch {
            place.trouble = .cannotListen(name, error.errno)
            return nil
        }
    }

    // MARK: Trying again

    /// Tries what is missing again and again, on a thread that ends when nothing is.
    func keepTrying() {
        let mustStart = work.withLock { work in
            guard isIncomplete, !work.isTrying else { return false }
            work.isTrying = true
            return true
        }
        guard mustStart else { return }
        let error = tryToStartThread("listeners") { [self] in
            var round = 0
            while mustGoOn(), !end.wait(seconds: Self.pause) {
                round += 1
                work.withLock { _ in tryAgain(round) }
            }
        }
        if error != 0 { work.withLock { $0.isTrying = false } }
        if error != 0 { events(.cannotListen(nil, "cannot try again: \(errorText(error))", missing: 1)) }
    }

    /// False, and the thread at its end, if nothing is missing.
    private func mustGoOn() -> Bool {
        work.withLock { work in
            work.isTrying = isIncomplete
            return work.isTrying
        }
    }

    /// Ends the trying.
    func stop() { end.open() }

    private var isIncomplete: Bool { places.withLock { $0.contains { $0.trouble != nil } } }

    /// One round. Nobody else changes places meanwhile.
    private func tryAgain(_ round: Int) {
        var all = places.withLock { $0 }
        if round % Self.roundsPerLookUp == 0 { lookUpAgain(&all) }
        for index in all.indices where all[index].trouble != nil {
            let before = all[index].trouble
            let presence = listen(&all[index])
            let place = all[index]
            let missing = all.count(where: \.isMissing)
            if let presence, let address = place.socket.address {
                if presence == .notYet {
                    events(.addressIsMissing(place.wanted.service, address, hasOthers: false))
                }
                events(.listensNow(place.wanted.service, address, missing: missing))
            } else if place.isMissing, let trouble = place.trouble,
                "\(trouble)" != before.map({ "\($0)" }) || round % Self.roundsPerReminder == 0
            {
                events(.cannotListen(place.wanted.service, "\(trouble)", missing: missing))
            }
        }
        places.withLock { $0 = all }
    }

    private func lookUpAgain(_ all: inout [Place]) {
        let names = Set(all.filter { $0.trouble != nil && $0.target == nil }.map { Key($0.wanted) })
        for name in names {
            let targets = Self.targets(name.address)
            guard !targets.isEmpty else { continue }
            for index in all.indices where all[index].target == nil && Key(all[index].wanted) == name {
                all[index].target = targets.first { $0.family == all[index].socket.family }
                // The name has no address of this family.
                if all[index].target == nil { all[index].trouble = nil }
            }
        }
    }
}
