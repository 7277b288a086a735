import Testing

@testable import Admin

@Suite struct SamplerTableTests {
    private let start = ContinuousClock.now

    /// How many of `count` lines are written.
    private func written(_ count: Int, _ subject: (Int) -> String, in table: inout SamplerTable, kind: Int = 0) -> Int {
        (0..<count).count { table.admit(kind: kind, subject($0), at: start) != .suppress }
    }

    @Test("A subject in a loop does not use up the lines of another, nor one kind those of another")
    func apart() {
        var table = SamplerTable(kinds: 2, at: start)
        #expect(written(500, { _ in "noisy" }, in: &table) == 10)
        #expect(table.admit(kind: 0, "quiet", at: start) == .write(suppressed: 0))
        #expect(table.admit(kind: 1, "noisy", at: start) == .write(suppressed: 0))
        #expect(table.admit(kind: 0, "noisy", at: start + .seconds(6)) == .write(suppressed: 490))
        #expect(table.takeSuppressed() == [0, 0])
    }

    @Test("However many subjects there are, a kind writes a thousand lines at once and one a second")
    func together() {
        var table = SamplerTable(kinds: 1, at: start)
        #expect(written(5000, { "\($0 % 500)" }, in: &table) == 1000)
        #expect(table.takeSuppressed() == [4000])
        let later = (0..<500).count { table.admit(kind: 0, "\($0)", at: start + .seconds(60)) != .suppress }
        #expect(later == 60)
    }

    @Test("Subjects without end take bounded memory, and every line that is not written is counted")
    func bounded() {
        var table = SamplerTable(kinds: 1, at: start)
        var written = 0
        let count = 3 * SamplerTable.capacity
        for number in 0..<count {
            let now = start + .milliseconds(number)
            if table.admit(kind: 0, "\(number)", at: now) != .suppress { written += 1 }
            #expect(table.count <= SamplerTable.capacity + 1)
        }
        // What was suppressed and said with a later line of the same subject is not counted twice.
        #expect(written + table.takeSuppressed()[0] <= count)
        #expect(written >= 1000 && written < 1100)
    }
}
