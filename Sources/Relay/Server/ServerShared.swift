// What the shards of a server have in common: who it is, and a few things with locks of their own that are touched at
// handshakes and at a change of the configuration only.
internal import Pairing
internal import Settings
internal import Vault
internal import Wire

/// Shared by the shards of one server.
final class ServerShared: Sendable {
    let identity: Identity
    let mint: ConversationIDMint
    let vault: any ConversationVault
    let admission: Admission
    /// Public-key work of pairings; its queue is the bound on pairings under way.
    let pairingWorkers: Workers
    let resolver: Resolver
    private let present: Guarded<Roster>

    init(_ settings: ServerSettings, vault: any ConversationVault) {
        identity = settings.identity
        mint = ConversationIDMint(settings.identity)
        self.vault = vault
        admission = Admission(settings.admission)
        pairingWorkers = Workers("pairing", threads: 1, capacity: settings.admission.pendingPairs)
        resolver = Resolver()
        present = Guarded(Roster(settings))
    }

    /// What holds now, for loops that begin and for tests: a loop that serves has its own.
    var roster: Roster { present.withLock { $0 } }

    /// The next roster, which is the present one from now on.
    func next(_ settings: ServerSettings) -> Roster {
        present.withLock { present in
            present = Roster(settings, after: present)
            return present
        }
    }
}
