// One case of a sweep: a manipulation at one place of a small exchange, and what must follow from it.

/// What an attacker does to one exchange.
struct SweepCase: Sendable, CustomStringConvertible {
    /// What the ends of the manipulated exchange may see, besides the rule that always holds.
    enum Consequence: Sendable {
        /// Nothing but a delay: both ends get everything.
        case harmless
        /// The receiver of the manipulated direction must not see an orderly end on that carrier.
        case noOrderlyEnd
        /// It may have come too late to matter.
        case any
    }

    let direction: CarrierDirection
    /// Which frame of the stream in that direction: 0 is OPEN itself, or the first of the answer.
    let unit: Int
    let name: String
    var consequence = Consequence.noOrderlyEnd
    /// Made when the unit passes, because it may need what was recorded until then.
    let verdict: @Sendable (CarrierUnit, UnitPlace, HostileTap) -> Verdict

    init(
        _ direction: CarrierDirection, unit: Int, name: String, consequence: Consequence = .noOrderlyEnd,
        verdict: @escaping @Sendable (CarrierUnit, UnitPlace, HostileTap) -> Verdict
    ) {
        (self.direction, self.unit, self.name, self.consequence) = (direction, unit, name, consequence)
        self.verdict = verdict
    }

    init(
        _ direction: CarrierDirection, unit: Int, _ manipulation: Manipulation, consequence: Consequence = .noOrderlyEnd
    ) {
        self.init(direction, unit: unit, name: "\(manipulation)", consequence: consequence) { unit, _, _ in
            manipulation.verdict(on: unit)
        }
    }

    init(_ site: SweepSite, _ manipulation: Manipulation, consequence: Consequence? = nil) {
        self.init(
            site.direction, unit: site.unit, manipulation,
            consequence: consequence ?? (site.isBehindFin ? .any : .noOrderlyEnd))
    }

    var description: String { "\(direction), unit \(unit): \(name)" }
}

/// A frame of the small exchange, as everybody on the wire sees it.
struct SweepSite: Sendable {
    let direction: CarrierDirection
    let unit: Int
    let kind: CarrierUnit.Kind
    let size: Int
    /// Comes after FIN: when it does, the receiver has everything.
    let isBehindFin: Bool
}
