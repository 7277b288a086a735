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

    init(_ settings: ServerSettings, vault: any ConversationVault) {
        self.settings = settings
        identity = settings.identity
        mint = ConversationIDMint(settings.identity)
        self.vault = vault
        admission = Admission(settings.admission)
        pairingWorkers = Workers("pairing", threads: 1, capacity: settings.admission.pendingPairs)
        resolver = Resolver(Workers("names", threads: 2, capacity: 1024))
        devices = Dictionary(settings.devices.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The service's settings, if this device may use it.
    func service(_ id: ServiceID, for device: PublicKey) -> ServerService? {
        guard let device = devices[device], device.services.contains(id) else { return nil }
        return settings.services[id]
    }
}
