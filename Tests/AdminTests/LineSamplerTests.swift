import Testing

@testable import Admin

@Suite struct LineSamplerTests {
    let start = ContinuousClock.now

    @Test("A burst is written, what follows at once is suppressed")
    func burst() {
        var sampler = LineSampler(burst: 3, interval: .seconds(6), at: start)
        let verdicts = (0..<5).map { _ in sampler.admit(at: start) }
        #expect(
            verdicts == [.write(suppressed: 0), .write(suppressed: 0), .write(suppressed: 0), .suppress, .suppress])
    }

    @Test("The next written line says how many were suppressed, once")
    func counted() {
        var sampler = LineSampler(burst: 1, interval: .seconds(6), at: start)
        _ = sampler.admit(at: start)
        for _ in 0..<7 { #expect(sampler.admit(at: start + .seconds(1)) == .suppress) }
        #expect(sampler.admit(at: start + .seconds(6)) == .write(suppressed: 7))
        #expect(sampler.admit(at: start + .seconds(12)) == .write(suppressed: 0))
    }

    @Test("A flood of any length is written at the sustained rate")
    func sustained() {
        var sampler = LineSampler(burst: 10, interval: .seconds(6), at: start)
        var written = 0
        for tenths in 0..<36_000 {  // an hour, ten lines a second
            if sampler.admit(at: start + .milliseconds(100 * tenths)) != .suppress { written += 1 }
        }
        #expect(written == 10 + 599)
    }

    @Test("A quiet time earns the burst and no more")
    func refill() {
        var sampler = LineSampler(burst: 2, interval: .seconds(6), at: start)
        _ = sampler.admit(at: start)
        _ = sampler.admit(at: start)
        let later = start + .seconds(86_400)
        let verdicts = (0..<3).map { _ in sampler.admit(at: later) }
        #expect(verdicts == [.write(suppressed: 0), .write(suppressed: 0), .suppress])
    }

    @Test("What was not said at the end can be taken once")
    func end() {
        var sampler = LineSampler(burst: 1, interval: .seconds(6), at: start)
        for _ in 0..<4 { _ = sampler.admit(at: start) }
        #expect(sampler.takeSuppressed() == 3)
        #expect(sampler.takeSuppressed() == 0)
    }
}
