// What a server serves, to whom, and within which limits, as of one moment. A roster never changes: another
// configuration makes another roster, and every loop gets it by letter. So a loop asks its own without any lock.
internal import Pairing
internal import Settings
internal import Wire

/// The devices, services, targets and limits of one configuration.
final class Roster: Sendable {
    /// Rises with every change. What was answered by a roster holds as long as its version is the present one.
    let version: UInt64
    let settings: ServerSettings
    let devices: [PublicKey: Device]
    /// What each device may have. A device that stays keeps its own, with what it has at the moment.
    let budgets: [PublicKey: DeviceBudget]
    /// What new carriers are timed by.
    let timings: CarrierTimings
    private let routes: [ServiceID: Route]

    /// The roster of `settings`, after `former` if there was one.
    init(_ settings: ServerSettings, after former: Roster? = nil) {
        let version = former.map { $0.version + 1 } ?? 0
        self.version = version
        self.settings = settings
        devices = Dictionary(settings.devices.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        budgets = devices.mapValues { former?.budgets[$0.key] ?? DeviceBudget(settings.deviceLimits) }
        timings = CarrierTimings(settings.common)
        routes = Dictionary(uniqueKeysWithValues: settings.services.map { ($0, Route($0, $1, of: version)) })
    }

    /// Whether carriers of the device may be here at all.
    func knows(_ device: PublicKey) -> Bool { devices[device] != nil }

    /// What the configuration calls the device with this key; the key's text if it is not configured.
    func name(of device: PublicKey) -> String { devices[device]?.name ?? device.text }

    /// Where streams of the service go, if this device may use it.
    func route(_ id: ServiceID, for device: PublicKey) -> Route? {
        guard let device = devices[device], device.services.contains(id) else { return nil }
        return routes[id]
    }
}

/// Where the streams of one service go, worked out once.
final class Route: Sendable {
    /// That of the roster which says so.
    let version: UInt64
    let service: ServiceID
    let target: Address
    /// The target's address, if no name has to be looked up.
    let literal: [SocketAddress]?
    /// How long connecting may take, the look-up of a name included.
    let limit: Nanoseconds

    init(_ id: ServiceID, _ service: ServerService, of version: UInt64) {
        self.version = version
        self.service = id
        target = service.target
        literal = SocketAddress(literal: service.target).map { [$0] }
        limit = service.connectTimeout.nanoseconds
    }

    /// The target as it is configured and, if that is a name, what of it was `tried`, for the log.
    func inWords(trying tried: [SocketAddress]) -> String {
        guard literal == nil, !tried.isEmpty else { return target.description }
        let more = tried.count > 3 ? ", and \(tried.count - 3) more" : ""
        return "\(target) (\(tried.prefix(3).map(\.text).joined(separator: ", "))\(more))"
    }
}
