// Which end a carrier is, and the numbers that both ends have from their configurations.
internal import Settings

/// Which daemon this end of a carrier belongs to.
enum Side: CaseIterable {
    case client, server
}

/// Numbers of a carrier that come from the configuration.
struct CarrierTimings {
    var heartbeat: Nanoseconds
    var deadAfter: Nanoseconds
    var rekeyFrames: UInt64
    var rekeyBytes: UInt64
    var rekeyEvery: Nanoseconds

    init(_ settings: CommonSettings) {
        heartbeat = settings.heartbeat.nanoseconds
        deadAfter = settings.deadAfter.nanoseconds
        rekeyFrames = settings.rekey.frames
        rekeyBytes = settings.rekey.bytes
        rekeyEvery = settings.rekey.every.nanoseconds
    }
}
