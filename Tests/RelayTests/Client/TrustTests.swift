import Testing

@testable import Relay

@Suite struct TrustTests {
    /// Every state there is, with the moments 5 and 9.
    private static let watches: [Trust.Watch] = [.none, .expecting(since: 5), .asking(since: 5)]
    private static let all = watches.map { Trust.trusted($0) } + watches.map { Trust.suspect($0) }

    @Test("A new carrier is trusted, and nobody waits for a word of it")
    func new() {
        let trust = Trust.trusted(.none)
        #expect(!trust.isSuspect && !trust.isWatched && !trust.isAsked && trust.expectedSince == nil)
    }

    @Test("A word that is expected later moves the moment, and begins one watch only", arguments: all)
    func expectWord(_ before: Trust) {
        var trust = before
        #expect(trust.expectWord(now: 9, asking: false) == !before.isWatched)
        #expect(trust.isWatched && trust.expectedSince == 9)
        #expect(trust.isAsked == before.isAsked, "a question that is open stays so")
        #expect(trust.isSuspect == before.isSuspect)
        #expect(trust.expectWord(now: 10, asking: true) == false)
        #expect(trust.isAsked && trust.expectedSince == 10)
        #expect(trust.expectWord(now: 11, asking: false) == false)
        #expect(trust.isAsked)
    }

    @Test("A suspect is asked, whatever was before, and keeps the moment of what it was watched for", arguments: all)
    func suspect(_ before: Trust) {
        var trust = before
        #expect(trust.suspect(now: 9) == !before.isWatched)
        #expect(trust == .suspect(.asking(since: before.isWatched ? 5 : 9)))
    }

    @Test("A suspect that is heard is trusted again, is not asked any more, and its watch goes on", arguments: all)
    func heard(_ before: Trust) {
        var trust = before
        trust.wasHeard()
        #expect(!trust.isSuspect && !trust.isAsked)
        #expect(trust.isWatched == before.isWatched && trust.expectedSince == before.expectedSince)
    }

    @Test("What the watch finds does not make a suspect trusted: TCP may still be repeating", arguments: all)
    func heardWhileWatched(_ before: Trust) {
        var trust = before
        trust.heardWhileWatched()
        #expect(trust.isSuspect == before.isSuspect && !trust.isAsked && trust.isWatched == before.isWatched)
    }

    @Test("Silence ends the watch and leaves a suspect", arguments: all)
    func silent(_ before: Trust) {
        var trust = before
        trust.wasSilent()
        #expect(trust == .suspect(.none))
    }

    @Test("Only who is watched can be asked, and the end of a watch says nothing of the trust", arguments: all)
    func endOfWatch(_ before: Trust) {
        var trust = before
        trust.ask()
        #expect(trust.isAsked == before.isWatched && trust.isSuspect == before.isSuspect)
        trust.endWatch()
        #expect(!trust.isWatched && !trust.isAsked && trust.isSuspect == before.isSuspect)
    }
}
