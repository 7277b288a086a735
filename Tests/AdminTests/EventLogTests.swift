import Logging
import Relay
import Settings
import Testing

@testable import Admin

@Suite struct EventLogTests {
    let pipe = Pipe()

    func logger(_ level: Logger.Level) -> Logger {
        let sink = LogSink(descriptor: pipe.writeEnd)
        return Logger(label: "test") { _ in DaemonLogHandler(sink: sink, style: .journal, level: level) }
    }

    @Test("An event becomes one line with its own severity")
    func oneLine() {
        EventLog(logger(.info)).record(.acceptPaused("no descriptors"))
        #expect(pipe.drain() == "<4>\(RelayEvent.acceptPaused("no descriptors"))\n")
    }

    @Test("Events below the configured level are not written")
    func filtered() {
        let log = EventLog(logger(Logger.Level(LogLevel.warning)))
        log.record(.draining(streams: 3))
        log.record(.stranger("192.0.2.1:4000", "wrong first bytes"))
        #expect(pipe.drain().isEmpty)
    }

    @Test("A flood of strangers writes a few lines and says how many more there were")
    func flood() {
        let log = EventLog(logger(.debug))
        for port in 0..<1000 { log.record(.stranger("192.0.2.1:\(port)", "silent")) }
        let lines = pipe.drain().split(separator: "\n")
        #expect(lines.count == 10)
        log.reportSuppressed()
        #expect(pipe.drain().contains("990 lines about peers turned away suppressed"))
    }

    @Test("A server that stays away does not fill the log either")
    func serverAway() {
        let log = EventLog(logger(.info))
        for _ in 0..<1000 {
            log.record(.pairingFailed(server: "db:7700", "Connection refused", retryIn: .milliseconds(300)))
        }
        #expect(pipe.drain().split(separator: "\n").count == 10)
        log.reportSuppressed()
        #expect(pipe.drain().contains("990 lines about attempts to pair suppressed"))
    }

    @Test("A device that asks in a loop for what it may not use neither fills the log nor hides another device's line")
    func refusedInALoop() {
        let log = EventLog(logger(.info))
        let greedy = DevicePlace(name: "greedy", address: "10.0.0.7:50122")
        // The names are the device's to choose, and make no difference.
        for number in 0..<1000 { log.record(.refused(device: greedy, service: "service-\(number)")) }
        #expect(pipe.drain().split(separator: "\n").count == 10)
        log.record(.refused(device: DevicePlace(name: "other", address: nil), service: "sample"))
        #expect(pipe.drain().split(separator: "\n").count == 1)
        log.reportSuppressed()
        #expect(pipe.drain().contains("990 lines about refused services suppressed"))
    }

    @Test("Whatever others can cause in a loop writes ten lines about one of them and says how many more there were")
    func everyLoop() throws {
        for event in try WordsTests.events("why") {
            let log = EventLog(logger(.debug))
            for _ in 0..<50 { log.record(event) }
            let lines = pipe.drain().split(separator: "\n").count
            switch event {
            // Once a life, once a second and loop, or once in a carrier's quarter of an hour.
            case .acceptPaused, .acceptResumed, .memoryUnlocked, .draining, .cut, .rekeyed: #expect(lines == 50)
            default:
                #expect(lines == 10, "\(event)")
                log.reportSuppressed()
                #expect(pipe.drain().hasPrefix("<5>40 lines about "), "\(event)")
            }
        }
    }

    @Test("Other events are written while strangers are suppressed")
    func othersPass() {
        let log = EventLog(logger(.debug))
        for port in 0..<100 { log.record(.stranger("192.0.2.1:\(port)", "silent")) }
        _ = pipe.drain()
        log.record(.acceptResumed)
        #expect(pipe.drain() == "<6>\(RelayEvent.acceptResumed)\n")
    }
}
