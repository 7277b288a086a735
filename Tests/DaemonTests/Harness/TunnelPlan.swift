// What a test wants of its two daemons, and the YAML that says so.

import Foundation

/// The configuration of a server and a client. What is nil is left out, so that the daemon's default
/// holds.
struct TunnelPlan: Sendable {
    struct Service: Sendable {
        var name: String
        var target: String
        var listen: [String] = ["127.0.0.1:0"]
        var connectTimeout: String?
    }

    var services: [Service]
    var serverListen: [String] = ["127.0.0.1:0"]
    /// What the server lets the client's device use; nil is every service.
    var allowed: [String]?
    /// More devices, as YAML lines of the `devices` mapping, indented by two.
    var moreDevices = ""

    var heartbeat: String?
    var deadAfter: String?
    var rekey: String?
    /// `own` or `shared`, of every service.
    var carrier: String?
    var pool: String?
    var waiting: String?
    var conversation: String?
    var admission: String?
    /// More than one, so that what shards share is tested on small machines too.
    var shards: String? = "2"
    var drain: String?
    var limits: String?
    var logLevel = "debug"
    /// More top-level YAML for either file.
    var serverExtra = ""
    var clientExtra = ""
    var serverEnvironment: [String: String] = [:]
    var clientEnvironment: [String: String] = [:]

    init(_ services: Service...) { self.services = services }

    init(services: [Service]) { self.services = services }

    /// One service with the name `NAME` and this target.
    init(_ name: String = "sample", to target: Endpoint) {
        services = [Service(name: name, target: target.description)]
    }

    /// The plan, changed.
    func with(_ change: (inout TunnelPlan) -> Void) -> TunnelPlan {
        var copy = self
        change(&copy)
        return copy
    }

    func serverYAML(deviceKey: String) -> String {
        var yaml = "listen: [\(quoted(serverListen))]\nidentity: server.key\nservices:\n"
        for service in services {
            let timeout = service.connectTimeout.map { ", connect-timeout: \($0)" } ?? ""
            yaml += "  \(service.name): {target: \"\(service.target)\"\(timeout)}\n"
        }
        let names = (allowed ?? services.map(\.name)).joined(separator: ", ")
        yaml += "devices:\n  tested: {key: \"\(deviceKey)\", services: [\(names)]}\n\(moreDevices)"
        if let conversation { yaml += "conversation: \(conversation)\n" }
        if let admission { yaml += "admission: \(admission)\n" }
        return yaml + common() + serverExtra
    }

    func clientYAML(serverAddress: Endpoint, serverKey: String) -> String {
        var yaml = "server: {address: \"\(serverAddress)\", key: \"\(serverKey)\"}\nidentity: client.key\nservices:\n"
        let choice = carrier.map { ", carrier: \($0)" } ?? ""
        for service in services { yaml += "  \(service.name): {listen: [\(quoted(service.listen))]\(choice)}\n" }
        if let pool { yaml += "pool: \(pool)\n" }
        if let waiting { yaml += "waiting: \(waiting)\n" }
        return yaml + common() + clientExtra
    }

    private func common() -> String {
        let carriers = [
            heartbeat.map { "heartbeat: \($0)" }, deadAfter.map { "dead-after: \($0)" }, rekey.map { "rekey: \($0)" },
        ].compactMap { $0 }
        var yaml = "log: {level: \(logLevel)}\n"
        if !carriers.isEmpty { yaml += "carriers: {\(carriers.joined(separator: ", "))}\n" }
        if let shards { yaml += "shards: \(shards)\n" }
        if let drain { yaml += "drain: \(drain)\n" }
        if let limits { yaml += "limits: \(limits)\n" }
        return yaml
    }

    private func quoted(_ list: [String]) -> String { list.map { "\"\($0)\"" }.joined(separator: ", ") }
}
