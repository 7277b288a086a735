// The keys of a server's file, declared. What a declaration says of the default is taken from the settings' own
// initializers.

internal import Pairing
internal import Wire

extension ServerSettings {
    static let listenKey = Setting<Self>(
        required: Key(
            "listen", "where carriers are accepted", limits: "an address or a list of them", change: .restart,
            advice: "write listen: \"0.0.0.0:7700\""),
        text: { Settings.text(of: $0.listen) })
    /// Compared by the key: the same one in another file changes nothing.
    static let identityKey = Setting<Self>(
        required: Settings.identityKey(of: "server"), text: { $0.identityPath.map(Page.text) },
        compared: { $0.identity.publicKey.text }, comment: { Page.comment($0.identity, $0.identityPath) })
    static let servicesKey = Key(
        "services",
        "what clients may ask for: a mapping from service names",
        limits: "at least one", change: .live, advice: "write services: \(servicesForm)")
    static let devicesKey = Key(
        "devices",
        "the clients this server pairs with: a mapping from device names. `{}` is legal: nobody may connect yet",
        limits: "", change: .live, advice: "write devices: \(devicesForm)")

    static let servicesForm = "{postgres: {target: \"127.0.0.1:5432\"}}"
    static let devicesForm = "{laptop: {key: \"owpub-…\", services: [postgres]}}"

    /// Every key of a server's file, in the order in which they are shown.
    static let declared: [Declared<Self>] =
        [Declared(listenKey, in: \.self), Declared(identityKey, in: \.self)]
        + [Declared(mapping: servicesKey) { $0.namedServices.map(\.name) }]
        + ServerService.settings.map { Declared($0) { $0.namedServices } }
        + [Declared(mapping: devicesKey) { $0.devices.map(\.name) }]
        + Device.settings.map { Declared($0) { $0.devices.map { ($0.name, $0) } } }
        + Lifetimes.declared(in: \.conversation) + AdmissionSettings.declared(in: \.admission)
        + CommonSettings.declared(in: \.common) + DeviceLimits.declared(in: \.deviceLimits)

    private var namedServices: [(name: String, item: ServerService)] {
        services.sorted { $0.key < $1.key }.map { ($0.key.text, $0.value) }
    }
}

extension ServerService: SettingsGroup {
    /// Its target stands for none.
    static let standard = ServerService(target: .unix(path: ""))

    static let targetKey = Setting<Self>(
        required: Key(
            "services.NAME.target", "where streams of this service are connected to", limits: "an address",
            change: .newConnections, advice: "write target: \"127.0.0.1:PORT\""),
        text: { Page.text($0.target.description) })

    static let settings: [Setting<Self>] = [
        targetKey,
        .duration(
            "services.NAME.connect-timeout", \.connectTimeout, .milliseconds(1)...(.seconds(600)),
            "how long connecting to the target may take, the look-up of its name included", change: .newConnections),
    ]
}

extension Device {
    static let keyKey = Setting<Self>(
        required: Key(
            "devices.NAME.key", "the device's public key; no two devices share one", limits: "public key",
            change: .live, advice: "run on the device: oncewire pubkey --identity FILE"),
        text: { Page.text($0.key.text) })
    static let servicesKey = Setting<Self>(
        required: Key(
            "devices.NAME.services",
            "the services this device may use",
            limits: "a service name or a list of them; `[]` for none yet", change: .live,
            advice: "list the services this device may use: [postgres]"),
        text: { Page.list($0.services.map(\.text).sorted().map(Page.key)) })

    static let settings = [keyKey, servicesKey]
}

extension Lifetimes: SettingsGroup {
    static let standard = Lifetimes()
    private static let range = Duration.seconds(1)...(.seconds(365 * 86_400))

    static let epochKey = Setting.duration(
        "conversation.ratchet-every", \Self.ratchetEvery, range, wholeSeconds: true,
        "how often the key ratchet of a conversation moves on; not above `lifetime`", change: .newConnections,
        formerly: "epoch")
    static let idleKey = Setting.duration(
        "conversation.idle-timeout", \Self.endsUnusedAfter, range, wholeSeconds: true,
        "a conversation nobody used for so long ends; not above `lifetime`", change: .newConnections, formerly: "idle")
    static let lifetimeKey = Setting.duration(
        "conversation.lifetime", \Self.endsAfter, range, wholeSeconds: true,
        "a conversation ends after so long in any case, and the client pairs again", change: .newConnections)

    static let settings = [epochKey, idleKey, lifetimeKey]
    static let orders = [
        Order(epochKey, \.ratchetEvery, isBelow: lifetimeKey, \.endsAfter, orEqual: true),
        Order(idleKey, \.endsUnusedAfter, isBelow: lifetimeKey, \.endsAfter, orEqual: true),
    ]

    // Lifetimes are constants, as a conversation has them for good: each is set by making them anew.
    private var ratchetEvery: Duration {
        get { epoch }
        set { self = Lifetimes(epoch: newValue, idle: idle, lifetime: lifetime) }
    }
    private var endsUnusedAfter: Duration {
        get { idle }
        set { self = Lifetimes(epoch: epoch, idle: newValue, lifetime: lifetime) }
    }
    private var endsAfter: Duration {
        get { lifetime }
        set { self = Lifetimes(epoch: epoch, idle: idle, lifetime: newValue) }
    }
}

extension AdmissionSettings: SettingsGroup {
    static let standard = AdmissionSettings()
    private static let range = Duration.milliseconds(10)...(.seconds(60))

    static let firstByteKey = Setting.duration(
        "admission.first-byte-timeout", \Self.firstByte, range,
        "a connection that has sent nothing so long after it was accepted is closed; not above `handshake-timeout`",
        change: .newConnections, formerly: "first-byte")
    static let handshakeKey = Setting.duration(
        "admission.handshake-timeout", \Self.handshake, range,
        "a connection that has not proved itself so long after it was accepted is closed; a pairing takes one round trip, "
            + "and over a slow way that loses packets many seconds",
        change: .newConnections, formerly: "handshake")

    static let settings: [Setting<Self>] = [
        firstByteKey, handshakeKey,
        .count(
            "admission.pairings-per-second", \.pairRate, 1...100_000,
            "pairings a second allowed to one address prefix (IPv4 /24, IPv6 /48); those of configured devices are not "
                + "counted once they are confirmed",
            change: .live, formerly: "pair-rate"),
        .count(
            "admission.pairings-at-once", \.pairBurst, 1...1_000_000, "pairings one address prefix may ask for at once",
            change: .live, formerly: "pair-burst"),
        .count(
            "admission.pairings-waiting", \.pendingPairs, 1...65_536,
            "pairings that may wait for a worker, over all prefixes", change: .restart, formerly: "pending-pairs"),
    ]

    static let orders = [
        Order(firstByteKey, \.firstByte, isBelow: handshakeKey, \.handshake, orEqual: true)
    ]
}

extension DeviceLimits: SettingsGroup {
    static let standard = DeviceLimits()

    static let settings: [Setting<Self>] = [
        .count(
            "limits.streams-per-device", \.streams, 1...10_000_000,
            "connections that one device may have at one time; one more is refused and logged", change: .live),
        .size(
            "limits.backlog-per-device", \.backlog, (64 << 10)...(1 << 40),
            "memory for what one device sent to targets that do not take it, over all its connections on shared carriers; "
                + "while it is used up, new connections of the device are refused, and those that bring more are reset",
            change: .live),
    ]
}
