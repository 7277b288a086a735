// What a client can be told, with its defaults. Pure values.

package import Pairing
package import Wire

/// A checked configuration of the daemon next to the applications.
package struct ClientSettings: Sendable {
    /// Where the server accepts carriers.
    package var server: Address
    /// Who must answer there.
    package var serverKey: PublicKey
    /// How long the server is waited for.
    package var timeouts: ServerTimeouts
    /// Who this client is.
    package var identity: Identity
    /// Where the identity was loaded from, as an absolute path; nil for one that lives in memory only.
    package var identityPath: String?
    /// Which services are offered to applications here, and where; at least one.
    package var services: [ServiceID: ClientService]
    package var pool: PoolSettings
    package var waiting: WaitingSettings
    package var common: CommonSettings

    package init(
        server: Address, serverKey: PublicKey, timeouts: ServerTimeouts = ServerTimeouts(), identity: Identity,
        identityPath: String? = nil, services: [ServiceID: ClientService], pool: PoolSettings = PoolSettings(),
        waiting: WaitingSettings = WaitingSettings(), common: CommonSettings = CommonSettings()
    ) {
        self.server = server
        self.serverKey = serverKey
        self.timeouts = timeouts
        self.identity = identity
        self.identityPath = identityPath
        self.services = services
        self.pool = pool
        self.waiting = waiting
        self.common = common
    }
}

extension ClientSettings: Equatable {
    /// Two identities are the same if their public keys are.
    package static func == (a: ClientSettings, b: ClientSettings) -> Bool {
        a.server == b.server && a.serverKey == b.serverKey && a.timeouts == b.timeouts
            && a.identity.publicKey == b.identity.publicKey
            && a.identityPath == b.identityPath && a.services == b.services && a.pool == b.pool
            && a.waiting == b.waiting && a.common == b.common
    }
}

/// How long a client waits for its server before it tries anew.
package struct ServerTimeouts: Equatable, Sendable {
    /// For a connection, the look-up of the name included.
    package var connect: Duration
    /// For each answer of a handshake: PAIRED, CONFIRMED, ACCEPT.
    package var answer: Duration

    package init(connect: Duration = .seconds(10), answer: Duration = .seconds(15)) {
        self.connect = connect
        self.answer = answer
    }
}

/// One service as the client knows it.
package struct ClientService: Equatable, Sendable {
    /// Where applications connect to; at least one.
    package var listen: [Address]
    /// What carries its streams.
    package var carrier: CarrierChoice

    package init(listen: [Address], carrier: CarrierChoice = .shared) {
        self.listen = listen
        self.carrier = carrier
    }
}

/// What carries the streams of a service.
package enum CarrierChoice: String, CaseIterable, Sendable {
    /// One carrier for all of them; a stream that turns out to be heavy moves to its own.
    case shared
    /// Each stream has a carrier of its own from its first byte.
    case own
}

/// How many accepted, idle carriers are kept ready.
package struct PoolSettings: Equatable, Sendable {
    /// Kept even when no application connects; 0 opens carriers only on demand.
    package var floor: Int
    /// Never more than these, however fast applications connect; not below `floor`.
    package var cap: Int

    package init(floor: Int = 2, cap: Int = 64) {
        self.floor = floor
        self.cap = cap
    }
}

/// Application connections that are held while no carrier is ready.
package struct WaitingSettings: Equatable, Sendable {
    /// How many are held; one more is reset at once. 0 holds none.
    package var most: Int
    /// How long one is held before it is reset.
    package var atMost: Duration

    package init(most: Int = 16384, atMost: Duration = .seconds(10)) {
        self.most = most
        self.atMost = atMost
    }
}
