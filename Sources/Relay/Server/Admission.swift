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
    }
    private let buckets = Guarded(Buckets())
    private let rate: Double
    private let burst: Double
    /// Prefixes remembered at once. When the table is full, full buckets (which say nothing) go; if
    /// none is full, the newcomer is turned away: a flood from everywhere must not grow memory.
    private static let capacity = 16_384
    /// A full table is searched for room no more often than this.
    private static let sweepPause: Nanoseconds = 100_000_000

    init(_ settings: AdmissionSettings) {
        rate = Double(settings.pairRate)
        burst = Double(settings.pairBurst)
    }

    /// Takes a token for a peer at `address`; false if there is none. Peers on unix sockets are local
    /// and always admitted.
    func admit(_ address: SocketAddress, now: Nanoseconds) -> Bool {
        guard let prefix = prefix(of: address) else { return true }
        return buckets.withLock { buckets in
            if buckets.of[prefix] == nil, buckets.of.count >= Self.capacity {
                guard now &- buckets.sweptAt >= Self.sweepPause || buckets.sweptAt == 0 else { return false }
                buckets.sweptAt = now
                buckets.of = buckets.of.filter { filled($0.value, now).tokens < burst }
                guard buckets.of.count < Self.capacity else { return false }
            }
            var bucket = filled(buckets.of[prefix] ?? Bucket(tokens: burst, filledAt: now), now)
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
            guard var bucket = buckets.of[prefix].map({ filled($0, now) }) else { return }
            bucket.tokens = min(burst, bucket.tokens + 1)
            buckets.of[prefix] = bucket
        }
    }

    private func prefix(of address: SocketAddress) -> [UInt8]? {
        address.ipBytes.map { Array($0.prefix($0.count == 4 ? 3 : 6)) }
    }

    private func filled(_ bucket: Bucket, _ now: Nanoseconds) -> Bucket {
        let seconds = Double(now &- min(bucket.filledAt, now)) / 1e9
        return Bucket(tokens: min(burst, bucket.tokens + seconds * rate), filledAt: now)
    }
}
