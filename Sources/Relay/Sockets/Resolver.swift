// Names to addresses, off the loop. One look-up per name at a time, which everybody who asks meanwhile joins; what
// was found before is used while a look-up takes its time or fails. What is known of a name is in KnownName.swift.
internal import Glibc
internal import Pairing
internal import Settings

/// Looks names up for all loops of a daemon.
final class Resolver: Sendable {
    private let state = Guarded(State())
    private let lookUp: @Sendable (String) -> LookUp
    private let clock: @Sendable () -> Nanoseconds

    /// Look-ups at one time, each on a thread of its own that ends with it.
    static let most = 64
    /// … and of names that have not been found before: those that have do not wait for them.
    static let mostUnproven = 48

    /// `lookUp` blocks; it and `clock` are the C library's and the monotonic clock except in tests.
    init(
        lookUp: @escaping @Sendable (String) -> LookUp = Resolver.askLibrary,
        clock: @escaping @Sendable () -> Nanoseconds = monotonicNow
    ) {
        self.lookUp = lookUp
        self.clock = clock
    }

    /// The addresses of `address` as far as they are known without asking: a literal's, or a fresh answer.
    func known(_ address: Address, at now: Nanoseconds) -> [SocketAddress]? {
        if let literal = SocketAddress(literal: address) { return [literal] }
        guard case .tcp(let host, let port) = address else { return nil }
        return state.withLock { $0.names[host]?.fresh(at: now) }?.map { $0.with(port: port) }
    }

    /// Calls `completion` once on the loop of `shard`, `limit` nanoseconds from now at the latest. At once, if the
    /// answer is known.
    func resolve(
        _ address: Address, for shard: Shard, limit: Nanoseconds, completion: @escaping (ResolverAnswer) -> Void
    ) {
        if let literal = SocketAddress(literal: address) { return completion(.found([literal])) }
        guard case .tcp(let host, let port) = address else { return completion(.failed("not an address")) }
        let question = Question(port, completion)
        let errand = Errand(for: question, on: shard.mailbox) { $0.answer($1) }
        let (reply, starts) = state.withLock { $0.ask(host, errand, at: shard.now) }
        switch reply {
        case .answer(let answer): completion(answer.with(port: port))
        case .wait(let stale): question.wait(for: stale, limit: limit, on: shard) { self.withdraw(errand, of: host) }
        }
        if starts { start(host) }
    }

    private func withdraw(_ question: Question.Errand, of host: String) {
        state.withLock { $0.names[host]?.questions.removeAll { $0 === question } }
    }

    private func start(_ host: String) {
        let error = tryToStartThread("names") { [self] in
            var next: String? = host
            while let name = next { next = finish(name, lookUp(name)) }
        }
        guard error != 0 else { return }
        // A thread would have gone on with these.
        var next: String? = host
        while let name = next { next = finish(name, .failed(EAI_AGAIN, errorText(error))) }
    }

    /// Tells everybody what was found. Returns the next name, if one waits for a thread.
    private func finish(_ host: String, _ result: LookUp) -> String? {
        let (questions, answer, next) = state.withLock { $0.finish(host, result, at: clock()) }
        for question in questions { question.bring(answer) }
        return next
    }

    // MARK: The library

    /// getaddrinfo, blocking, with port 0.
    static func askLibrary(_ host: String) -> LookUp { ask(host, port: 0, isForListening: false) }

    /// getaddrinfo, blocking. Nil if the name has no address.
    static func lookUp(_ address: Address, isForListening: Bool = false) -> [SocketAddress]? {
        guard case .tcp(let host, let port) = address else { return nil }
        guard case .found(let addresses) = ask(host, port: port, isForListening: isForListening) else { return nil }
        return addresses
    }

    private static func ask(_ host: String, port: UInt16, isForListening: Bool) -> LookUp {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        // Who connects needs no address of a family that this host has no other address of. This host's own are all
        // of use.
        if !isForListening, host != "localhost" { hints.ai_flags |= AI_ADDRCONFIG }
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, String(port), &hints, &list)
        guard result == 0, let first = list else { return .failed(result, String(cString: gai_strerror(result))) }
        defer { freeaddrinfo(first) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next, found.count < 16 {
            if let sockaddr = entry.pointee.ai_addr {
                let address = SocketAddress(copying: sockaddr, entry.pointee.ai_addrlen)
                if !found.contains(address) { found.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return found.isEmpty ? .failed(EAI_NONAME, "the name has no address") : .found(found)
    }

    // MARK: What is shared

    private struct State {
        var names: [String: KnownName] = [:]
        /// Names whose look-up waits for a thread.
        var queue: [String] = []
        var running = 0
        var unproven = 0

        enum Reply {
            case answer(ResolverAnswer)
            /// A look-up is under way; what to use if it takes too long.
            case wait(stale: [SocketAddress]?)
        }

        /// Answers, or lets `question` join the look-up. The second value: whether a thread must start.
        mutating func ask(
            _ host: String, _ question: Question.Errand, at now: Nanoseconds
        ) -> (Reply, starts: Bool) {
            var name = names[host] ?? KnownName()
            defer { names[host] = name }
            if let answer = name.answer(at: now) { return (.answer(answer), false) }
            name.questions.append(question)
            let stale = name.stale(at: now)
            guard name.askedSince == nil else { return (.wait(stale: stale), false) }
            name.askedSince = now
            guard mayStart(name) else {
                queue.append(host)
                return (.wait(stale: stale), false)
            }
            starts(&name)
            return (.wait(stale: stale), true)
        }

        /// The look-up of `host` is over: whom to tell what, and what to look up next.
        mutating func finish(
            _ host: String, _ result: LookUp, at now: Nanoseconds
        ) -> ([Question.Errand], ResolverAnswer, next: String?) {
            var name = names[host] ?? KnownName()
            running -= 1
            if name.isUnproven { unproven -= 1 }
            let answer = name.finish(result, at: now)
            let questions = name.questions
            name.questions = []
            names[host] = name
            return (questions, answer, nextInQueue())
        }

        private mutating func nextInQueue() -> String? {
            guard let place = queue.firstIndex(where: { names[$0].map(mayStart) ?? false }) else { return nil }
            let host = queue.remove(at: place)
            if var name = names[host] {
                starts(&name)
                names[host] = name
            }
            return host
        }

        private func mayStart(_ name: KnownName) -> Bool {
            running < Resolver.most && (name.wasFound || unproven < Resolver.mostUnproven)
        }

        private mutating func starts(_ name: inout KnownName) {
            name.isUnproven = !name.wasFound
            running += 1
            if name.isUnproven { unproven += 1 }
        }
    }
}
