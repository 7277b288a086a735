// One line for the loss of the server and one for its return, however many carriers and loops see it.
import Testing

@testable import Relay

@Suite struct ServerWatchTests {
    private let watch = ServerWatch("db:7700")
    private let second: Nanoseconds = 1_000_000_000

    private func text(_ event: RelayEvent?) -> String { event.map { "\($0)" } ?? "" }

    @Test("A server that never answered is not lost")
    func never() {
        #expect(watch.unreached("Connection refused", at: second) == nil)
        #expect(watch.look(heard: nil, at: 60 * second) == nil)
        #expect(watch.answers(at: 61 * second) == nil)
    }

    @Test("The loss is told once, with the first reason; the return once, with the time and every reset connection")
    func edges() {
        #expect(watch.answers(at: second) == nil)
        let lost = watch.carrierBroke("nothing heard for 30 s", resets: 200, isLast: true, at: 2 * second)
        #expect(text(lost) == "server db:7700 lost: nothing heard for 30 s")
        #expect(watch.carrierBroke("nothing heard for 30 s", resets: 10, isLast: true, at: 2 * second) == nil)
        for time in 3..<60 as Range<Nanoseconds> {
            #expect(watch.unreached("Connection refused", at: time * second) == nil)
            #expect(watch.look(heard: second, at: time * second) == nil)
        }
        for _ in 0..<4 { watch.turnedAway() }
        #expect(
            text(watch.answers(at: 63 * second))
                == "server db:7700 reached again after 61 s, 214 connections reset meanwhile")
        #expect(watch.answers(at: 64 * second) == nil)
    }

    @Test("One carrier of several that breaks is no loss of the server once it is heard elsewhere")
    func oneOfSeveral() {
        _ = watch.answers(at: second)
        #expect(watch.carrierBroke("Connection reset by peer", resets: 3, isLast: false, at: 10 * second) == nil)
        #expect(watch.look(heard: 9 * second, at: 11 * second) == nil)
        #expect(
            text(watch.look(heard: 12 * second, at: 13 * second))
                == "a connection to server db:7700 broke: Connection reset by peer; 3 connections reset")
        #expect(watch.look(heard: 14 * second, at: 40 * second) == nil)
    }

    @Test("A carrier that breaks, and no further one to be had, is a loss, with what broke it")
    func noOther() {
        _ = watch.answers(at: second)
        #expect(watch.carrierBroke("the peer closed the carrier", resets: 1, isLast: false, at: 10 * second) == nil)
        #expect(
            text(watch.unreached("Connection refused", at: 10 * second))
                == "server db:7700 lost: the peer closed the carrier")
        #expect(
            text(watch.answers(at: 12 * second))
                == "server db:7700 reached again after 2 s, 1 connection reset meanwhile")
    }

    @Test("A server of which nothing is heard for long after a carrier broke is lost")
    func silence() {
        _ = watch.answers(at: second)
        _ = watch.carrierBroke("Connection reset by peer", resets: 1, isLast: false, at: 10 * second)
        #expect(watch.look(heard: 9 * second, at: 19 * second) == nil)
        #expect(text(watch.look(heard: 9 * second, at: 20 * second)).hasPrefix("server db:7700 lost: "))
    }

    @Test("An idle carrier that ends tells nothing; the dial that then fails does")
    func idle() {
        _ = watch.answers(at: second)
        #expect(watch.carrierBroke("protocol: PING", resets: 0, isLast: false, at: 2 * second) == nil)
        #expect(watch.lastCarrierEnded() == nil)
        #expect(
            text(watch.unreached("Connection refused", at: 3 * second)) == "server db:7700 lost: Connection refused")
    }
}
