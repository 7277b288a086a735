// One case of a sweep: a manipulation at one place of a small exchange, and what must follow from it.

/// What an attacker does to one exchange.
struct SweepCase: Sendable, CustomStringConvertible {
    /// What the ends of the manipulated exchange may see, besides the rule that always holds.
    enum Consequence: Sendable {
        /// Nothing but a delay: both ends get everything.
        case harmless
        /// The receiver of the manipulated direction must not see an orderly end.
        case noOrderlyEnd
        /// It may have come too late to matter.
        case any
    }

    let direction: CarrierDirection
    /// Which unit of the direction since OPEN: 0 is OPEN itself, or OPENED.
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

    var description: String { "\(direction), unit \(unit): \(name)" }
}
