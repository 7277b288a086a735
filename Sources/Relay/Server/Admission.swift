// How often strangers from one place may ask for the costly part of a pairing: a token bucket for each
// address prefix (/24, or /48 for IPv6), in a table that cannot grow past its bound. Whoever turns out to be a configured
// device is no stranger and gets its token back.
internal import Pairing
internal import Settings

/// Token buckets, shared by the shards.
final class Admission: Sendable {
    private struct Bucket {
        var tokens: Double
        var filledAt: Nanoseconds
    }
    private struct Buckets {
        var of: [[UInt8]: Bucket] = [:]
        var sweptAt: Nanoseconds = 0
        var rate: Double
        var burst: Double

        init(_ settings: AdmissionSettings) {
            rate = Double(settings.pairRate)
            burst = Double(settings.pairBurst)
        }

        func filled(_ bucket: Bucket, _ now: Nanoseconds) -> Bucket {
            let seconds = Double(now &- min(bucket.filledAt, now)) / 1e9
            return Bucket(tokens: min(burst, bucket.tokens + seconds * rate), filledAt: now)
        }
    }
    private let buckets: Guarded<Buckets>
    /// Prefixes remembered at once. When the table is full, full buckets (which say nothing) go; if
    /// none is full, the newcomer is turned away: a flood from everywhere must not grow memory.
    private static let capacity = 16_384
    /// A full table is searched for room no more often than this.
    private static let sweepPause: Nanoseconds = 100_000_000

    init(_ settings: AdmissionSettings) {
        buckets = Guarded(Buckets(settings))
    }

    /// Other limits hold from now on. Nobody has more tokens than the new burst; what was used up stays used up.
    func limit(to settings: AdmissionSettings) {
        buckets.withLock { ($0.rate, $0.burst) = (Double(settings.pairRate), Double(settings.pairBurst)) }
    }

    /// Takes a token for a peer at `address`; false if there is none. Peers on unix sockets are local
    /// and always admitted.
    func admit(_ address: SocketAddress, now: Nanoseconds) -> Bool {
        guard let prefix = prefix(of: address) else { return true }
        return buckets.withLock { buckets in
            if buckets.of[prefix] == nil, buckets.of.count >= Self.capacity {
                guard now &- buckets.sweptAt >= Self.sweepPause || buckets.sweptAt == 0 else { return false }
                buckets.sweptAt = now
                let all = buckets
                buckets.of = all.of.filter { all.filled($0.value, now).tokens < all.burst }
                guard buckets.of.count < Self.capacity else { return false }
            }
            let stored = buckets.of[prefix] ?? Bucket(tokens: buckets.burst, filledAt: now)
            var bucket = buckets.filled(stored, now)
            defer { buckets.of[prefix] = bucket }
            guard bucket.tokens >= 1 else { return false }
            bucket.tokens -= 1
            return true
        }
    }

    /// Gives back the token that was taken for a peer at `address`, which has proved to be a configured device.
    func giveBack(_ address: SocketAddress, now: Nanoseconds) {
        guard let prefix = prefix(of: address) else { return }
        buckets.withLock { buckets in
            // A bucket that is not there any more is a full one.
            guard var bucket = buckets.of[prefix].map({ buckets.filled($0, now) }) else { return }
            bucket.tokens = min(buckets.burst, bucket.tokens + 1)
            buckets.of[prefix] = bucket
        }
    }

    private func prefix(of address: SocketAddress) -> [UInt8]? {
        address.ipBytes.map { Array($0.prefix($0.count == 4 ? 3 : 6)) }
    }
}
