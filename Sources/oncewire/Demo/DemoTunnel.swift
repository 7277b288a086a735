// The demo's server and client with settings made in memory, and what stands around and between them.
import Pairing
import Relay
import Settings
import Wire

/// A tunnel from `entry` to a sample service, with an eavesdropper in the middle.
struct DemoTunnel {
    /// Where applications connect to.
    let entry: Address
    let tap: DemoTap

    private let server: Daemon
    private let client: Daemon

    /// Starts everything, from the service to the client.
    init(diary: DemoDiary) throws {
        guard let serviceID = ServiceID("demo") else { throw DemoFailure("'demo' is no service id") }
        let serverIdentity = Identity.generate()
        let clientIdentity = Identity.generate()
        let common = CommonSettings(drain: .seconds(5))

        let service = try DemoService()
        server = Daemon(
            server: ServerSettings(
                listen: [Self.anyPort], identity: serverIdentity,
                services: [serviceID: ServerService(target: service.address)],
                devices: [Device(name: "demo", key: clientIdentity.publicKey, services: [serviceID])],
                common: common)
        ) { diary.note($0, from: "server") }
        tap = try DemoTap(to: try Self.start(server))
        client = Daemon(
            client: ClientSettings(
                server: tap.address, serverKey: serverIdentity.publicKey, identity: clientIdentity,
                services: [serviceID: ClientService(listen: [Self.anyPort])], common: common)
        ) { diary.note($0, from: "client") }
        entry = try Self.start(client)
    }

    /// Stops both daemons in good order; what the client counted.
    func stop() -> Counters {
        let counters = client.counters()
        client.drain()
        client.waitUntilStopped()
        server.drain()
        server.waitUntilStopped()
        return counters
    }

    /// A port of loopback that the kernel chooses.
    private static let anyPort = Address.tcp(host: "127.0.0.1", port: 0)

    /// Starts a daemon with one listener; where that listens.
    private static func start(_ daemon: Daemon) throws -> Address {
        guard let listener = try daemon.start().first else { throw DemoFailure("a daemon listens nowhere") }
        return listener.address
    }
}
