import Settings
import Testing

@testable import Relay

@Suite struct AdmissionTests {
    private let second: Nanoseconds = 1_000_000_000

    private func peer(_ host: String) throws -> SocketAddress {
        try #require(SocketAddress(literal: .tcp(host: host, port: 4711)))
    }

    private func admitted(_ admission: Admission, _ host: String, tries: Int = 100, now: Nanoseconds) throws -> Int {
        let peer = try peer(host)
        return (0..<tries).count { _ in admission.admit(peer, now: now) }
    }

    @Test("A place may spend its burst at once, and then what time gives it back")
    func bucket() throws {
        let admission = Admission(AdmissionSettings(pairRate: 4, pairBurst: 10))
        var now = 50 * second
        #expect(try admitted(admission, "192.0.2.1", now: now) == 10)
        #expect(try admitted(admission, "192.0.2.1", now: now) == 0)
        now += second / 4
        #expect(try admitted(admission, "192.0.2.1", now: now) == 1)
        now += 2 * second
        #expect(try admitted(admission, "192.0.2.1", now: now) == 8)
        now += 3600 * second
        #expect(try admitted(admission, "192.0.2.1", now: now) == 10)
    }

    @Test("A device that turns out to be configured gets its token back, and nobody gets more than the burst")
    func givenBack() throws {
        let admission = Admission(AdmissionSettings(pairRate: 1, pairBurst: 2))
        let device = try peer("192.0.2.1")
        for _ in 0..<50 {
            #expect(admission.admit(device, now: second))
            admission.giveBack(device, now: second)
        }
        for _ in 0..<5 { admission.giveBack(device, now: second) }
        admission.giveBack(try peer("192.0.3.1"), now: second)
        #expect(try admitted(admission, "192.0.2.1", now: second) == 2)
        #expect(try admitted(admission, "192.0.3.1", now: second) == 2)
    }

    @Test("A clock that seems to go back gives nothing")
    func clockBackwards() throws {
        let admission = Admission(AdmissionSettings(pairRate: 1000, pairBurst: 3))
        #expect(try admitted(admission, "192.0.2.1", now: 50 * second) == 3)
        #expect(try admitted(admission, "192.0.2.1", now: 49 * second) == 0)
    }

    @Test(
        "Neighbours share a bucket, others do not",
        arguments: [
            ("192.0.2.1", "192.0.2.254", true), ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8:1:2::1", "2001:db8:1:ffff::9", true), ("2001:db8:1::1", "2001:db8:2::1", false),
            ("192.0.2.1", "::ffff:192.0.2.77", true), ("192.0.2.1", "::ffff:192.0.3.1", false),
            ("192.0.2.1", "::192.0.2.1", false),
        ])
    func prefixes(_ first: String, _ second: String, _ areNeighbours: Bool) throws {
        let admission = Admission(AdmissionSettings(pairRate: 1, pairBurst: 5))
        #expect(try admitted(admission, first, now: 1) == 5)
        #expect(try admitted(admission, second, now: 1) == (areNeighbours ? 0 : 5))
    }

    @Test("Peers on a unix socket are local and always admitted")
    func unix() throws {
        let admission = Admission(AdmissionSettings(pairRate: 1, pairBurst: 1))
        let peer = try #require(SocketAddress(literal: .unix(path: "/run/oncewire.sock")))
        for _ in 0..<100 { #expect(admission.admit(peer, now: 1)) }
    }

    @Test(
        "A flood from everywhere fills a bounded table and is turned away; those known before still have their tokens")
    func boundedTable() throws {
        let admission = Admission(AdmissionSettings(pairRate: 1, pairBurst: 2))
        var admitted = 0
        for index in 0..<16_484 {
            if admission.admit(try peer("10.\(index / 256).\(index % 256).1"), now: 1) { admitted += 1 }
        }
        #expect(admitted == 16_384)
        #expect(admission.admit(try peer("10.0.0.2"), now: 1))
        #expect(!admission.admit(try peer("10.0.0.2"), now: 1))
        #expect(!admission.admit(try peer("192.0.2.1"), now: 1))
        // Once their buckets are full again the old ones say nothing and make room.
        #expect(admission.admit(try peer("192.0.2.1"), now: 1 + 2 * second))
    }
}
