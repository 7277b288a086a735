// Where a carrier is in its two regions, for tests that wait until nothing moves.
@testable import Relay

extension Carrier {
    var outStart: Int { link.outStart }
    var outEnd: Int { link.outEnd }
    var filled: Int { link.filled }
    var parsed: Int { link.parsed }
}
