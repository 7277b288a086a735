// What the shards of a server have in common: settings that do not change, and a few things with locks
// of their own that are touched at handshakes only.
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

/// Shared by the shards of one server.
final class ServerShared: Sendable {
    let settings: ServerSettings
    let identity: Identity
    let mint: ConversationIDMint
    let vault: any ConversationVault
    let admission: Admission
    /// Public-key work of pairings; its queue is the bound on pairings under way.
    let pairingWorkers: Workers
    let resolver: Resolver
    let devices: [PublicKey: Device]
    /// What each device may have.
    let budgets: [PublicKey: DeviceBudget]
    private let routes: [ServiceID: Route]

    init(_ settings: ServerSettings, vault: any ConversationVault) {
        self.settings = settings
        identity = settings.identity
        mint = ConversationIDMint(settings.identity)
        self.vault = vault
        admission = Admission(settings.admission)
        pairingWorkers = Workers("pairing", threads: 1, capacity: settings.admission.pendingPairs)
        resolver = Resolver()
        devices = Dictionary(settings.devices.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        budgets = devices.mapValues { _ in DeviceBudget(settings.deviceLimits) }
        routes = Dictionary(uniqueKeysWithValues: settings.services.map { ($0, Route($0, $1)) })
    }

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
    let service: ServiceID
    let target: Address
    /// The target's address, if no name has to be looked up.
    let literal: [SocketAddress]?
    /// How long connecting may take, the look-up of a name included.
    let limit: Nanoseconds

    init(_ id: ServiceID, _ service: ServerService) {
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
