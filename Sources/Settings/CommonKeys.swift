// The keys that a server's and a client's file have in common, declared. What a declaration says of the default is
// taken from the settings' own initializers.

extension CommonSettings: SettingsGroup {
    static let standard = CommonSettings()

    static let heartbeatKey = Setting.duration(
        "carriers.heartbeat", \Self.heartbeat, .milliseconds(1)...(.seconds(3600)),
        "a carrier that was silent for so long is asked for a sign of life; less than `dead-after`",
        change: .newConnections)
    static let deadAfterKey = Setting.duration(
        "carriers.dead-after", \Self.deadAfter, .milliseconds(2)...(.seconds(86_400)),
        "a carrier that was silent for so long is given up, and its streams are reset", change: .newConnections)
    static let drainKey = Setting.duration(
        "drain", \Self.drain, .zero...(.seconds(3600)),
        "how long streams may go on after SIGTERM before they are cut; 0s cuts them at once. A client serves new "
            + "connections meanwhile. Longer than the clients' `waiting.timeout` is warned of: applications that connect "
            + "meanwhile would be reset",
        change: .nothing)

    static let settings: [Setting<Self>] = [
        heartbeatKey, deadAfterKey,
        .count(
            "carriers.rekey.frames", \.rekey.frames, 16...(1 << 48),
            "a carrier's entropy is renewed after so many frames, both directions together", change: .newConnections),
        .size(
            "carriers.rekey.bytes", \.rekey.bytes, (64 << 10)...(1 << 50),
            "… or after so many bytes, both directions together", change: .newConnections),
        .duration(
            "carriers.rekey.every", \.rekey.every, .milliseconds(100)...(.seconds(86_400)),
            "… or after so much time", change: .newConnections),
        Setting(
            "shards",
            "pairs of event-loop threads, one for light streams and one for heavy ones; `auto` is one pair for every two "
                + "cores, at least one",
            limits: "`auto` or 1 to 256", standard: standard, change: .restart,
            text: { $0.shards == 0 ? "auto" : "\($0.shards)" },
            read: { section, owner in section.shards(default: owner.shards).put(into: &owner, at: \.shards) }),
        .word(
            "polling", \.polling, called: "choice",
            "`adaptive`: while single messages follow each other within microseconds, a shard asks for the next for up to "
                + "50 µs before it sleeps, giving way to whoever wants the processor, so that an answer takes about half "
                + "the time; `off`: never",
            change: .restart),
        drainKey,
        .count(
            "limits.connections", \.maxConnections, 1...10_000_000,
            "connections carried at one time; beyond it accepting pauses", change: .live),
        .word("log.level", \.logLevel, called: "level", "the least severe events that are logged", change: .restart),
    ]

    static let orders = [
        Order(heartbeatKey, \.heartbeat, isBelow: deadAfterKey, \.deadAfter, orEqual: false)
    ]
}

extension Section {
    fileprivate func shards(default standard: Int) -> Field<Int> {
        if let node = node("shards"), case .scalar("auto", _) = node.content {
            return Field(value: 0, mark: node.mark, isSound: true)
        }
        if let node = node("shards"), node.kind == "text" {
            findings.report(node.mark, "shards must be auto or a whole number, found text", "write auto or 1 to 256")
            return Field(value: standard, mark: node.mark, isSound: false)
        }
        return count("shards", default: standard, in: 1...256)
    }
}

/// The key `identity`, whose meaning differs only in whose it is.
func identityKey(of whom: String) -> Key {
    Key(
        "identity",
        "the file with this \(whom)'s private key, of root or the daemon's user; nobody else may have any right to it "
            + "([OPERATIONS](OPERATIONS.md#keys))",
        limits: "path", change: .restart,
        advice: "make one with: oncewire keygen --identity FILE, and write FILE here")
}

/// Addresses as a value in a file.
func text(of addresses: [Address]) -> String {
    let texts = addresses.map { Page.text($0.description) }
    return texts.count == 1 ? texts[0] : Page.list(texts)
}
