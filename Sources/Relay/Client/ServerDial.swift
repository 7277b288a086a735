// Reaches the configured server: looks its name up, connects. What is said on the connection is the
// caller's: RESUME for one more carrier, PAIR for a conversation.
internal import Settings

/// How reaching the server ended.
enum ServerDialResult {
    /// Connected; the endpoint has no driver yet.
    case connected(Endpoint)
    /// Not reached, and why.
    case failed(String)
    /// This host lacks something that connecting takes, and what.
    case shortage(String)
}

/// One attempt to reach the server. `completion` is called at most once, and not after `cancel`.
final class ServerDial: Dialler {
    private unowned let role: ClientRole
    private var completion: ((ServerDialResult) -> Void)?
    private var dial: Dial?

    init(_ role: ClientRole, completion: @escaping (ServerDialResult) -> Void) {
        self.role = role
        self.completion = completion
    }

    /// Starts; `limit` (nanoseconds) bounds the look-up of the name and the connecting together.
    func start(limit: Nanoseconds) {
        let shard = role.shard
        let asked = shard.now
        role.shared.resolver.resolve(role.settings.server, for: shard, limit: limit) { [weak self] answer in
            guard let self, completion != nil else { return }
            switch answer {
            case .found(let addresses):
                let dial = Dial(addresses, on: shard, for: self)
                self.dial = dial
                dial.start(limit: limit &- min(shard.now &- asked, limit))
            case .failed(let why): finish(.failed("the server's name cannot be looked up: \(why)"))
            case .timedOut: finish(.failed("looking up the server's name timed out"))
            }
        }
    }

    /// Ends it without calling the completion.
    func cancel() {
        completion = nil
        dial?.cancel()
        dial = nil
    }

    func dialled(_ result: DialResult) {
        dial = nil
        switch result {
        case .connected(let endpoint): finish(.connected(endpoint))
        case .failed(let error):
            finish(
                isShortage(error) ? .shortage("resources exhausted: \(errorText(error))") : .failed(errorText(error)))
        case .timedOut: finish(.failed("connecting timed out"))
        }
    }

    private func finish(_ result: ServerDialResult) {
        let completion = completion
        self.completion = nil
        completion?(result)
    }
}

extension ServerTimeouts {
    /// What was waited for too long, in words.
    func words(connected: Bool) -> String {
        connected ? "no answer within \(inWords(answer))" : "no connection within \(inWords(connect))"
    }
}
