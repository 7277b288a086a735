// The keys of a client's file, declared. What a declaration says of the default is taken from the settings' own
// initializers.

internal import Pairing
internal import Wire

extension ClientSettings {
    static let addressKey = Setting<Self>(
        required: Key(
            "server.address", "where the server accepts carriers", limits: "an address", change: .restart,
            advice: "write server: \(serverForm)"),
        text: { Page.text($0.server.description) })
    static let keyKey = Setting<Self>(
        required: Key(
            "server.key", "the public key that must answer there", limits: "public key", change: .restart,
            advice: "run on the server: oncewire pubkey --identity FILE"),
        text: { Page.text($0.serverKey.text) })
    /// Compared by the key: the same one in another file changes nothing.
    static let identityKey = Setting<Self>(
        required: Settings.identityKey(of: "client"), text: { $0.identityPath.map(Page.text) },
        compared: { $0.identity.publicKey.text }, comment: { Page.comment($0.identity, $0.identityPath) })
    static let servicesKey = Key(
        "services",
        "the server's services that are offered here: a mapping from service names",
        limits: "at least one", change: .live, advice: "write services: \(servicesForm)")

    static let serverForm = "{address: \"HOST:7700\", key: \"owpub-…\"}"
    static let servicesForm = "{postgres: {listen: \"127.0.0.1:5432\"}}"

    /// Every key of a client's file, in the order in which they are shown.
    static let declared: [Declared<Self>] =
        [Declared(addressKey, in: \.self), Declared(keyKey, in: \.self)]
        + ServerTimeouts.declared(in: \.timeouts) + [Declared(identityKey, in: \.self)]
        + [Declared(mapping: servicesKey) { $0.namedServices.map(\.name) }]
        + ClientService.settings.map { Declared($0) { $0.namedServices } }
        + PoolSettings.declared(in: \.pool) + WaitingSettings.declared(in: \.waiting)
        + CommonSettings.declared(in: \.common)

    private var namedServices: [(name: String, item: ClientService)] {
        services.sorted { $0.key < $1.key }.map { ($0.key.text, $0.value) }
    }
}

extension ServerTimeouts: SettingsGroup {
    static let standard = ServerTimeouts()
    private static let range = Duration.milliseconds(10)...(.seconds(600))

    static let settings: [Setting<Self>] = [
        .duration(
            "server.connect-timeout", \.connect, range,
            "how long the look-up of its name and connecting may take, before the client tries anew",
            change: .newConnections),
        .duration(
            "server.answer-timeout", \.answer, range,
            "how long the server may take for each answer of a handshake, before the client tries anew: several round "
                + "trips of the slowest way",
            change: .newConnections),
    ]
}

extension ClientService: SettingsGroup {
    /// It listens nowhere.
    static let standard = ClientService(listen: [])

    static let listenKey = Setting<Self>(
        required: Key(
            "services.NAME.listen", "where applications connect to", limits: "an address or a list of them",
            change: .live, advice: "write listen: \"127.0.0.1:PORT\""),
        text: { text(of: $0.listen) })

    static let settings: [Setting<Self>] = [
        listenKey,
        .word(
            "services.NAME.carrier", \.carrier, called: "carrier",
            "what carries its streams: one carrier `shared` by all of them, which heavy streams leave for one of their own; "
                + "or each its `own` from the first byte, so that not even a lost packet of one stream holds up another",
            change: .newConnections),
    ]
}

extension PoolSettings: SettingsGroup {
    static let standard = PoolSettings()

    static let floorKey = Setting.count(
        "pool.min-idle", \Self.floor, 0...65_536,
        "the fewest accepted, idle carriers that are kept, even if no application connects; 0 opens them on demand only; not above "
            + "`max-idle`",
        change: .live, formerly: .read("floor"))
    static let capKey = Setting.count(
        "pool.max-idle", \Self.cap, 1...65_536, "the most accepted, idle carriers, however fast applications connect",
        change: .live, formerly: .read("cap"))

    static let settings = [floorKey, capKey]
    static let orders = [Order(floorKey, \.floor, isBelow: capKey, \.cap, orEqual: true)]
}

extension WaitingSettings: SettingsGroup {
    static let standard = WaitingSettings()

    static let atMostKey = Setting.duration(
        "waiting.timeout", \Self.atMost, .milliseconds(1)...(.seconds(600)),
        "how long an application connection is held before it is reset", change: .newConnections, formerly: "at-most")

    static let settings: [Setting<Self>] = [
        .count(
            "waiting.connections", \.most, 0...1_000_000,
            "application connections that are held while no carrier is ready; one more is reset at once. Each takes a "
                + "descriptor; enough for all that come back together when a server has been restarted",
            change: .live, formerly: "most"),
        atMostKey,
    ]
}
