// Every key a configuration may contain, by the section it stands in. Pure values.

enum Keys {
    static let server =
        ["listen", "identity", "services", "devices", "conversation", "admission"] + common
    static let client = ["server", "identity", "services", "pool", "waiting"] + common
    private static let common = ["carriers", "shards", "polling", "drain", "limits", "log"]

    static let serverService = ["target", "connect-timeout"]
    static let device = ["key", "services"]
    static let conversation = ["epoch", "idle", "lifetime"]
    static let admission = ["first-byte", "handshake", "pair-rate", "pair-burst", "pending-pairs"]

    static let remote = ["address", "key", "connect-timeout", "answer-timeout"]
    static let clientService = ["listen", "carrier"]
    static let pool = ["floor", "cap"]
    static let waiting = ["most", "at-most"]

    static let carriers = ["heartbeat", "dead-after", "rekey"]
    static let rekey = ["frames", "bytes", "every"]
    static let limits = ["connections"]
    static let serverLimits = limits + ["streams-per-device", "backlog-per-device"]
    static let log = ["level"]

    /// Where a key belongs that someone wrote in a section that has no such key.
    static func home(of key: String) -> String? {
        let sections: [(keys: [String], name: String)] = [
            (["conversation", "admission", "devices"], "in a server's file"),
            (["server", "pool", "waiting"], "in a client's file"),
            (["listen"], "at the top of a server's file and under a service in a client's"),
            (["connect-timeout"], "under server in a client's file and under a service in a server's"),
            (serverService, "under a service in a server's file"), (["carrier"], "under a service in a client's file"),
            (["identity", "services"] + common, "at the top of the file"),
            (conversation, "under conversation"), (admission, "under admission"), (pool, "under pool"),
            (waiting, "under waiting"), (carriers, "under carriers"), (rekey, "under carriers: rekey"),
            (limits, "under limits"), (serverLimits, "under limits in a server's file"), (log, "under log"),
            (["address", "answer-timeout"], "under server in a client's file"),
        ]
        return sections.first { $0.keys.contains(key) }?.name
    }
}
