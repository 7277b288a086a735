import Testing

@testable import Admin

@Suite struct LogSinkTests {
    @Test("A reader that has stopped costs lines, not time, and is told how many")
    func stoppedReader() {
        let pipe = Pipe()
        let sink = LogSink(descriptor: pipe.writeEnd)
        let line = String(repeating: "x", count: 999) + "\n"
        while sink.linesLost == 0 { sink.write(line) { _ in "unexpected\n" } }  // until the pipe is full
        for _ in 0..<4 { sink.write(line) { _ in "unexpected\n" } }
        #expect(sink.linesLost == 5)

        let kept = pipe.drain()
        #expect(kept.hasSuffix("x\n") && !kept.contains("unexpected"))
        sink.write("back\n") { lost in "\(lost) lost\n" }
        #expect(pipe.drain() == "5 lost\nback\n")
        #expect(sink.linesLost == 0)
    }

    @Test("A line too long for one write of a pipe is cut and stays one line")
    func longLine() {
        let pipe = Pipe()
        LogSink(descriptor: pipe.writeEnd).write(String(repeating: "y", count: 10_000) + "\n") { _ in "" }
        let written = pipe.drain()
        #expect(written.utf8.count == LogSink.longestLine)
        #expect(written.hasSuffix("yyy...\n"))
    }
}
