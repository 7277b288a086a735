import Testing

@testable import Relay

@Suite struct ClientEndingTests {
    private enum Step: CaseIterable {
        case drain, everybodyDrains, cut, leave, logOff

        func take(_ ending: inout ClientEnding) {
            switch self {
            case .drain: ending.drain()
            case .everybodyDrains: ending.everybodyDrains()
            case .cut: ending.cut()
            case .leave: _ = ending.leave()
            case .logOff: ending.logOff()
            }
        }
    }

    private static let all: [ClientEnding] = [
        .serving, .draining(isCut: false), .draining(isCut: true), .alone(isCut: false), .alone(isCut: true), .left,
        .loggedOff,
    ]

    private func rank(_ ending: ClientEnding) -> Int {
        switch ending {
        case .serving: 0
        case .draining: 1
        case .alone: 2
        case .left: 3
        case .loggedOff: 4
        }
    }

    @Test("In order: it drains, is alone, leaves once, and logs off", arguments: [false, true])
    func inOrder(_ isCut: Bool) {
        var ending = ClientEnding.serving
        #expect(!ending.isDraining && !ending.mayLeave && !ending.hasLeft)
        ending.drain()
        #expect(ending.isDraining && ending.mayLeave && !ending.isCut)
        #expect(ending.leave() == false, "a carrier may still come from another loop")
        if isCut { ending.cut() }
        ending.everybodyDrains()
        #expect(ending == .alone(isCut: isCut) && ending.isCut == isCut)
        #expect(ending.leave() == true)
        #expect(ending.hasLeft && !ending.mayLeave)
        #expect(ending.leave() == false, "only the first time counts")
        ending.logOff()
        #expect(ending == .loggedOff && ending.hasLeft && ending.isDraining)
    }

    @Test("Whatever comes in whatever order, it never goes back", arguments: all)
    func neverBack(_ before: ClientEnding) {
        for step in Step.allCases {
            var ending = before
            step.take(&ending)
            #expect(rank(ending) >= rank(before), "\(step)")
            #expect(!before.isCut || ending.isCut || ending.hasLeft, "\(step): what is cut stays cut")
            #expect(!before.hasLeft || ending.hasLeft, "\(step)")
            #expect(!before.isDraining || ending.isDraining, "\(step)")
        }
    }

    @Test("A cut while carriers may still come lets them come: it does not count as being alone")
    func cutEarly() {
        var ending = ClientEnding.draining(isCut: false)
        ending.cut()
        #expect(ending == .draining(isCut: true))
        #expect(ending.leave() == false)
        ending.everybodyDrains()
        #expect(ending.leave() == true)
    }

    @Test("A loop that is cut though nobody asked it to drain drains")
    func cutFirst() {
        var ending = ClientEnding.serving
        ending.cut()
        ending.drain()
        #expect(ending == .draining(isCut: true))
    }
}
