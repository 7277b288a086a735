// What the log says is written for people: no value of this program's types shows through.
import Codec
import Logging
import Pairing
import Relay
import Testing
import Vault
import Wire

@testable import Admin

@Suite struct WordsTests {
    private static let key = Identity.generate().publicKey
    private static let codecErrors: [CodecError] = [
        .notAuthentic, .wrongNonce(expected: 4, received: 5), .nonceExhausted, .weakPublicKey, .lengthOutOfRange,
        .libcrypto,
    ]
    private static let wireErrors: [WireError] =
        [
            .unknownFrameType(42), .flagsNotZero(1), .reservedNotZero, .wrongLength(expected: 4, received: 5),
            .unknownAddressFamily(9), .malformedServiceID, .unknownOptions(8), .unknownReason(77), .malformedRekey,
            .unknownRecordKind(99), .recordWithoutStream, .malformedFlag(2), .notOncewire, .unsupportedVersion(2),
            .unknownHandshakeKind(9), .unknownPattern(3),
        ]
    private static let wireErrorsOfKinds: [WireError] =
        FrameType.allCases.map { .illegalFrameLength($0, 7) } + RecordKind.allCases.map { .illegalRecordLength($0, 7) }
        + HandshakeKind.allCases.map { .unexpectedHandshakeKind($0) }
    private static let pairingErrors: [PairingError] =
        [
            .peer(.wrongMac), .peer(.notAuthentic), .peer(.weakPublicKey), .peer(.invalidEncapsulationKey),
            .peer(.unknownDevice(key)), .peer(.illegalLifetimes), .peer(.epochOutOfRange(3)),
            .peer(.conversationExpired), .local(.conversationExpired), .local(.wrongConversation), .local(.kem),
        ]

    /// Every reason that can come into a line.
    private static var reasons: [String] {
        let wire = wireErrors + wireErrorsOfKinds
        let pairing: [PairingError] =
            pairingErrors + wire.map { .peer(.malformed($0)) } + codecErrors.map { .local(.codec($0)) }
        var texts = ["\(VaultError.full(capacity: 3))"]
        texts += codecErrors.map(\.description) + wire.map(\.description) + pairing.map(\.description)
        texts += CloseReason.allCases.map(\.description) + FrameType.allCases.map(\.description)
        texts += RecordKind.allCases.map(\.description) + HandshakeKind.allCases.map(\.description)
        return texts
    }

    static func events(_ why: String, count: Int = 3) throws -> [RelayEvent] {
        let service = try #require(ServiceID("postgres"))
        let device = DevicePlace(name: "laptop", address: "10.0.0.7:50122")
        return [
            .paired(with: "device laptop", at: "10.0.0.7:50122", .milliseconds(3)),
            .pairingFailed(server: "db:7700", why, retryIn: .milliseconds(50)), .pairingAgain, .conversationEnded(why),
            .streamBroken(service, .linkBroke), .streamBroken(nil, .drainTimeout), .rekeyed(service),
            .carrierLost(.link(.closed)), .cannotOpenCarrier(why),
            .carrierSilent(.seconds(2)),
            .stranger("10.0.0.7:50122", why), .unknownDevice(key, from: "10.0.0.7:50122"),
            .refused(device: device, service: "redis"),
            .targetFailed(service, target: "127.0.0.1:5432", device: device, why),
            .streamTurnedDown(service, device: DevicePlace(name: "laptop", address: nil), why),
            .applicationTurnedAway(service, why), .serverLost("db:7700", why),
            .serverReached("db:7700", after: .seconds(61), resets: count),
            .connectionBroke(server: "db:7700", why, resets: count), .shortage(server: "db:7700", why),
            .deviceLost(device, why, resets: count), .acceptPaused(why), .acceptResumed, .memoryUnlocked,
            .draining(streams: count), .cut(streams: count),
        ] + CloseReason.allCases.map { .streamRefused(service, server: "db:7700", $0) }
    }

    /// A name of this program, or a value as Swift prints it by itself.
    private func raw(in text: String) -> String? {
        let patterns: [Regex<Substring>] = [
            /(?:Pairing|Wire|Codec|Relay|Vault|Settings|Optional)[.(]/, /[A-Za-z]\(/, /(?:^|[^A-Za-z])[a-z]+[A-Z]/,
        ]
        return patterns.lazy.compactMap { try? $0.firstMatch(in: text) }.first.map { String($0.output) }
    }

    @Test("What is looked for is found in values that Swift prints by itself")
    func detector() {
        #expect(raw(in: "\(String(reflecting: EventLevel.debug))") != nil)
        #expect(raw(in: "peer(Pairing.PairingError.PeerFault.wrongMac)") != nil)
        #expect(raw(in: "refused: targetRefused") != nil)
        #expect(raw(in: "nothing heard for 30 s") == nil)
    }

    @Test("No reason is a raw value", arguments: WordsTests.reasons)
    func noRawReason(text: String) {
        #expect(raw(in: text) == nil, "\(text)")
        #expect(!text.isEmpty && !text.contains("\n"))
    }

    @Test("No event, whatever its reason, and no line made of it shows a raw value")
    func noRawEvent() throws {
        let pipe = Pipe()
        let sink = LogSink(descriptor: pipe.writeEnd)
        let logger = Logger(label: "test") { _ in DaemonLogHandler(sink: sink, style: .plain, level: .debug) }
        for reason in Self.reasons {
            for event in try Self.events(reason) {
                #expect(raw(in: "\(event)") == nil, "\(event)")
                // A log of its own for each: nothing is suppressed.
                EventLog(logger).record(event)
                let line = pipe.drain()
                #expect(line.contains("\(event)") && raw(in: line) == nil, "\(line)")
            }
        }
    }

    @Test("One is not said as many")
    func numbers() throws {
        for event in try Self.events("why", count: 1) {
            #expect("\(event)".firstMatch(of: /(?:^|[^0-9])1 [a-z]+s(?:[^a-z]|$)/) == nil, "\(event)")
        }
        #expect("\(RelayEvent.draining(streams: 1))" == "draining: 1 stream still open")
        #expect("\(RelayEvent.cut(streams: 2))" == "drain time-out: 2 streams cut")
        #expect(
            "\(RelayEvent.serverReached("db:7700", after: .seconds(61), resets: 214))"
                == "server db:7700 reached again after 61 s, 214 connections reset meanwhile")
        let once = RelayEvent.serverReached("db:7700", after: .zero, resets: 1)
        #expect("\(once)".hasSuffix("1 connection reset meanwhile"))
    }

    @Test("The line about an unknown device has what admits it")
    func unknownDevice() {
        let event = RelayEvent.unknownDevice(Self.key, from: "10.0.0.7:50122")
        let start = "unknown device \(Self.key.text) from 10.0.0.7:50122; to admit it add it under `devices:`"
        #expect("\(event)".hasPrefix(start))
        #expect(event.level == .warning)
    }
}
