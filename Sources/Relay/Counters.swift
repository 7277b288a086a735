// What a daemon counts. Each shard counts for itself; sums are made when somebody asks.

/// Sums over the shards of one daemon since its start; gauges are as of the moment of asking.
package struct Counters: Sendable, Equatable {
    /// Pairings that were confirmed in both directions.
    package var pairings: UInt64 = 0
    /// Carriers opened by RESUME and ACCEPT.
    package var resumes: UInt64 = 0
    /// Peers turned away before they proved themselves.
    package var strangers: UInt64 = 0
    /// Streams that were opened.
    package var streams: UInt64 = 0
    /// Streams that ended in any other way than orderly.
    package var brokenStreams: UInt64 = 0
    /// Frames encoded.
    package var framesOut: UInt64 = 0
    /// Frames decoded.
    package var framesIn: UInt64 = 0
    /// Application bytes that left in DATA frames.
    package var bytesOut: UInt64 = 0
    /// Application bytes that came in DATA frames.
    package var bytesIn: UInt64 = 0
    /// REKEY exchanges that were completed.
    package var rekeys: UInt64 = 0
    /// Carriers that went from one event loop to the other of its pair.
    package var passes: UInt64 = 0
    /// Carriers open now.
    package var carriersOpen: Int = 0
    /// Streams open now.
    package var streamsOpen: Int = 0
    /// Carriers accepted and idle now, ready for the next application connection (client only).
    package var carriersIdle: Int = 0

    package init() {}

    static func += (sum: inout Counters, other: Counters) {
        sum.pairings += other.pairings
        sum.resumes += other.resumes
        sum.strangers += other.strangers
        sum.streams += other.streams
        sum.brokenStreams += other.brokenStreams
        sum.framesOut += other.framesOut
        sum.framesIn += other.framesIn
        sum.bytesOut += other.bytesOut
        sum.bytesIn += other.bytesIn
        sum.rekeys += other.rekeys
        sum.passes += other.passes
        sum.carriersOpen += other.carriersOpen
        sum.streamsOpen += other.streamsOpen
        sum.carriersIdle += other.carriersIdle
    }
}
