// Names to addresses, off the loop: getaddrinfo blocks, so it runs on a worker, and answers are kept
// for a short while so that a burst of connections asks once.
internal import Glibc
internal import Settings
internal import Synchronization

/// Looks names up for all shards of a daemon.
final class Resolver: Sendable {
    private struct Answer {
        var addresses: [SocketAddress]
        var expires: Nanoseconds
    }
    private let cache = Mutex<[Address: Answer]>([:])
    private let workers: Workers
    /// How long an answer is used without asking again, and how much longer if asking fails.
    private static let fresh: Nanoseconds = 5_000_000_000

    init(_ workers: Workers) { self.workers = workers }

    /// The addresses of `address` as far as they are known without asking: a literal's, or a fresh answer.
    func known(_ address: Address, at now: Nanoseconds) -> [SocketAddress]? {
        if let literal = SocketAddress(literal: address) { return [literal] }
        guard let answer = cache.withLock({ $0[address] }), answer.expires > now else { return nil }
        return answer.addresses
    }

    /// Calls `completion` on the shard with the addresses of `address`; nil if the name has none.
    /// Literals and fresh answers are given at once.
    func resolve(_ address: Address, for shard: Shard, completion: @escaping ([SocketAddress]?) -> Void) {
        if let known = known(address, at: shard.now) { return completion(known) }
        let reply = Reply(completion)
        let mailbox = shard.mailbox
        let isQueued = workers.run {
            let found = self.lookUpAndKeep(address)
            mailbox.post { _ in reply.completion(found) }
        }
        if !isQueued { completion(nil) }
    }

    /// The completion goes to the worker and comes back to its own shard, where alone it is called.
    private final class Reply: @unchecked Sendable {
        let completion: ([SocketAddress]?) -> Void
        init(_ completion: @escaping ([SocketAddress]?) -> Void) { self.completion = completion }
    }

    private func lookUpAndKeep(_ address: Address) -> [SocketAddress]? {
        let found = Self.lookUp(address)
        return cache.withLock { cache in
            if let found {
                cache[address] = Answer(addresses: found, expires: monotonicNow() + Self.fresh)
                return found
            }
            // A name server that is away for a moment does not take the service down.
            return cache[address]?.addresses
        }
    }

    /// getaddrinfo, blocking. Nil if the name has no address.
    static func lookUp(_ address: Address) -> [SocketAddress]? {
        guard case .tcp(let host, let port) = address else { return nil }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let first = list else { return nil }
        defer { freeaddrinfo(first) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next, found.count < 16 {
            if let sockaddr = entry.pointee.ai_addr {
                found.append(SocketAddress(copying: sockaddr, entry.pointee.ai_addrlen))
            }
            next = entry.pointee.ai_next
        }
        return found.isEmpty ? nil : found
    }
}
