// How one loop of a client ends.
//
//   serving ── drain ──▶ draining ── every loop drains ──▶ alone ── nothing is left ──▶ left ── so for all loops ──▶ loggedOff
//
// It goes on accepting while it drains, until no application connection is left. Once every loop drains no carrier comes
// from another any more; until then one could bring a stream. When the last loop has left, all of them log off.

/// How far a loop has come. A step that is out of order changes nothing.
enum ClientEnding: Equatable {
    case serving
    /// The drain time-out may have passed since (`isCut`): what still comes from other loops is ended there.
    case draining(isCut: Bool)
    /// No carrier will come from another loop any more.
    case alone(isCut: Bool)
    /// Nothing is left to do but to log off.
    case left
    case loggedOff

    /// A graceful end was asked for.
    mutating func drain() {
        if self == .serving { self = .draining(isCut: false) }
    }

    /// Every loop of the daemon drains.
    mutating func everybodyDrains() {
        if case .draining(let isCut) = self { self = .alone(isCut: isCut) }
    }

    /// The drain time-out has passed.
    mutating func cut() {
        switch self {
        case .serving, .draining: self = .draining(isCut: true)
        case .alone: self = .alone(isCut: true)
        case .left, .loggedOff: break
        }
    }

    /// Nothing is left to do. True for the first time that it may be so.
    mutating func leave() -> Bool {
        guard case .alone = self else { return false }
        self = .left
        return true
    }

    /// Every loop has left.
    mutating func logOff() { self = .loggedOff }

    var isDraining: Bool { self != .serving }

    /// Whether it waits for nothing but the end of what it has.
    var mayLeave: Bool {
        switch self {
        case .draining, .alone: true
        case .serving, .left, .loggedOff: false
        }
    }

    var isCut: Bool {
        switch self {
        case .draining(let isCut), .alone(let isCut): isCut
        case .serving, .left, .loggedOff: false
        }
    }

    var hasLeft: Bool { self == .left || self == .loggedOff }
}
