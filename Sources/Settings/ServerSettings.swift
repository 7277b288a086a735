// What a server can be told, with its defaults. Pure values.

package import Pairing
package import Wire

/// A checked configuration of the daemon next to the services.
package struct ServerSettings: Sendable {
    /// Where carriers are accepted; at least one.
    package var listen: [Address]
    /// Who this server is.
    package var identity: Identity
    /// Where the identity was loaded from, as an absolute path; nil for one that lives in memory only.
    package var identityPath: String?
    /// What clients may ask for, and where it is; at least one.
    package var services: [ServiceID: ServerService]
    /// Who may ask, in the order of the file. No two have the same key.
    package var devices: [Device]
    /// How long what a pairing made may be used.
    package var conversation: Lifetimes
    package var common: CommonSettings
    package var admission: AdmissionSettings
    package var deviceLimits: DeviceLimits

    package init(
        listen: [Address], identity: Identity, identityPath: String? = nil, services: [ServiceID: ServerService],
        devices: [Device], conversation: Lifetimes = Lifetimes(), common: CommonSettings = CommonSettings(),
        admission: AdmissionSettings = AdmissionSettings(), deviceLimits: DeviceLimits = DeviceLimits()
    ) {
        self.listen = listen
        self.identity = identity
        self.identityPath = identityPath
        self.services = services
        self.devices = devices
        self.conversation = conversation
        self.common = common
        self.admission = admission
        self.deviceLimits = deviceLimits
    }
}

extension ServerSettings: Equatable {
    /// Two identities are the same if their public keys are.
    package static func == (a: ServerSettings, b: ServerSettings) -> Bool {
        a.listen == b.listen && a.identity.publicKey == b.identity.publicKey && a.identityPath == b.identityPath
            && a.services == b.services && a.devices == b.devices && a.conversation == b.conversation
            && a.common == b.common && a.admission == b.admission && a.deviceLimits == b.deviceLimits
    }
}

/// One service as the server knows it.
package struct ServerService: Equatable, Sendable {
    /// Where its streams are connected to. Only the server's configuration says so, never a client.
    package var target: Address
    /// How long connecting may take.
    package var connectTimeout: Duration

    package init(target: Address, connectTimeout: Duration = .seconds(5)) {
        self.target = target
        self.connectTimeout = connectTimeout
    }
}

/// A client this server pairs with.
package struct Device: Equatable, Sendable {
    /// What it is called in logs: 1 to 63 letters, digits, `.`, `_`, `-` and `@`, starting with a letter or digit.
    package var name: String
    package var key: PublicKey
    /// The services it may use, all of them known to the server; none is legal.
    package var services: Set<ServiceID>

    package init(name: String, key: PublicKey, services: Set<ServiceID>) {
        self.name = name
        self.key = key
        self.services = services
    }
}

/// What a server grants to peers that have not proved who they are.
package struct AdmissionSettings: Equatable, Sendable {
    /// How long after accept the first byte may take.
    package var firstByte: Duration
    /// How long after accept the whole handshake may take.
    package var handshake: Duration
    /// Pairings a second allowed to one address prefix (IPv4 /24, IPv6 /48).
    package var pairRate: Int
    /// Pairings one address prefix may ask for at once.
    package var pairBurst: Int
    /// Pairings that may wait for a worker, over all prefixes.
    package var pendingPairs: Int

    package init(
        firstByte: Duration = .seconds(5), handshake: Duration = .seconds(20), pairRate: Int = 20, pairBurst: Int = 40,
        pendingPairs: Int = 256
    ) {
        self.firstByte = firstByte
        self.handshake = handshake
        self.pairRate = pairRate
        self.pairBurst = pairBurst
        self.pendingPairs = pendingPairs
    }
}

/// What one device may have at one time, so that it leaves the others something.
package struct DeviceLimits: Equatable, Sendable {
    /// Streams; one more is refused.
    package var streams: Int
    /// Bytes of memory for what waits for targets that do not take it, over all streams of shared carriers. A stream
    /// that brings more is refused or reset.
    package var backlog: Int

    package init(streams: Int = 20_000, backlog: Int = 128 << 20) {
        self.streams = streams
        self.backlog = backlog
    }
}
