// What the daemons of a day are told: mostly small numbers, so that a day sees much of what otherwise takes weeks.
import CWorld
import Pairing
import Settings
import Wire

/// The settings of one day.
struct Configuration {
    let server: ServerSettings
    let clients: [ClientSettings]
    /// How long a broken stream may take until both of its ends know.
    let patience: UInt64

    /// No limit of connections is within reach.
    var isRoomy: Bool { ([server.common] + clients.map(\.common)).allSatisfy { $0.maxConnections >= 1000 } }

    static let serverPort: UInt16 = 7700
    static func port(_ service: Int) -> UInt16 { UInt16(5000 + service) }
    static func targetPort(_ service: Int) -> UInt16 { UInt16(6000 + service) }

    init(_ chance: inout Chance, isForBulk: Bool) {
        let identity = Identity.generate()
        let identities = [Identity.generate(), Identity.generate()]
        let heartbeat = chance.pick([1, 2, 5, 10])
        let deadAfter = heartbeat * chance.pick([3, 4])
        let drain = isForBulk ? 4000 : chance.pick([100, 1000, 4000])
        func common(_ chance: inout Chance) -> CommonSettings {
            CommonSettings(
                shards: chance.within(1...2), polling: .off, heartbeat: .seconds(heartbeat),
                deadAfter: .seconds(deadAfter),
                rekey: RekeySettings(
                    frames: UInt64(chance.pick(isForBulk ? [1 << 20] : [30, 300, 1 << 20])),
                    bytes: UInt64(chance.pick(isForBulk ? [1 << 24, 1 << 34] : [65_536, 1 << 20, 1 << 34])),
                    every: .seconds(chance.pick([2, 20, 900]))),
                drain: .milliseconds(drain), maxConnections: chance.pick([20, 1000, 100_000]))
        }
        let ids = Service.all.map { ServiceID($0.name)! }
        let all = Array(Service.all.indices)
        server = ServerSettings(
            listen: [.tcp(host: "0.0.0.0", port: Self.serverPort)], identity: identity,
            services: Dictionary(
                uniqueKeysWithValues: all.map {
                    (
                        ids[$0],
                        ServerService(
                            target: .tcp(host: "127.0.0.1", port: Self.targetPort($0)), connectTimeout: .seconds(2))
                    )
                }),
            devices: identities.enumerated().map { index, device in
                Device(
                    name: "device-\(index)", key: device.publicKey,
                    services: Set(all.filter { Service.all[$0].isFor(index) }.map { ids[$0] }))
            },
            conversation: Lifetimes(
                epoch: .seconds(chance.pick([3, 20, 900])), idle: .seconds(chance.pick([5, 30, 3600])),
                lifetime: .seconds(chance.pick([15, 60, 86_400]))),
            common: common(&chance))
        clients = identities.map { own in
            ClientSettings(
                server: .tcp(host: "10.0.0.3", port: Self.serverPort), serverKey: identity.publicKey,
                timeouts: ServerTimeouts(
                    connect: .seconds(chance.pick([2, 10])), answer: .seconds(chance.pick([3, 15]))),
                identity: own,
                services: Dictionary(
                    uniqueKeysWithValues: all.map {
                        (
                            ids[$0],
                            ClientService(
                                listen: [.tcp(host: "127.0.0.1", port: Self.port($0))],
                                carrier: Service.all[$0].isOwn ? .own : .shared)
                        )
                    }),
                pool: PoolSettings(floor: chance.below(4), cap: 4 + chance.below(8)),
                waiting: WaitingSettings(atMost: .seconds(10)), common: common(&chance))
        }
        patience = UInt64(2 * deadAfter + 30) * 1_000_000_000
    }
}
