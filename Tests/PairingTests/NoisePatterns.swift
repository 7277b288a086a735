// The patterns of Noise rev 34 §7.4, §7.5 and appendix §18.1 as data, for running every published vector through the
// machinery that the one pattern of this protocol uses.

@testable import Pairing

extension HandshakePattern {
    /// The pattern of a protocol name such as `Noise_IKpsk2_25519_AESGCM_SHA256`; nil if it is none of the known ones.
    init?(protocolName: String) {
        let parts = protocolName.split(separator: "_")
        guard parts.count == 5, parts[0] == "Noise", parts[2...] == ["25519", "AESGCM", "SHA256"] else { return nil }
        let name = parts[1].prefix { $0.isUppercase || $0 == "1" }
        guard let text = Self.fundamental[String(name)] else { return nil }
        var messages = text.split(separator: ";").map {
            $0.split(separator: " ").compactMap { Self.tokens[String($0)] }
        }
        for modifier in parts[1].dropFirst(name.count).split(separator: "+") {
            guard modifier.hasPrefix("psk"), let place = Int(modifier.dropFirst(3)), place <= messages.count else {
                return nil
            }
            if place == 0 { messages[0].insert(.psk, at: 0) } else { messages[place - 1].append(.psk) }
        }
        // The letters: the first tells how the initiator's static key gets across, the second the responder's; a single
        // letter is a one-way pattern and tells the initiator's.
        let letters = name.filter { $0 != "1" }
        let isOneWay = letters.count == 1
        self.init(
            protocolName: protocolName, knowsInitiator: letters.first == "K",
            knowsResponder: isOneWay || letters.last == "K", messages: messages)
    }

    private static let tokens: [String: HandshakeToken] = [
        "e": .e, "s": .s, "ee": .ee, "es": .es, "se": .se, "ss": .ss,
    ]

    private static let fundamental = [
        "N": "e es", "K": "e es ss", "X": "e es s ss",
        "NN": "e;e ee", "KN": "e;e ee se", "NK": "e es;e ee", "KK": "e es ss;e ee se", "NX": "e;e ee s es",
        "KX": "e;e ee se s es", "XN": "e;e ee;s se", "IN": "e s;e ee se", "XK": "e es;e ee;s se",
        "IK": "e es s ss;e ee se", "XX": "e;e ee s es;s se", "IX": "e s;e ee se s es",
        "NK1": "e;e ee es", "NX1": "e;e ee s;es", "X1N": "e;e ee;s;se", "X1K": "e es;e ee;s;se",
        "XK1": "e;e ee es;s se", "X1K1": "e;e ee es;s;se", "X1X": "e;e ee s es;s;se", "XX1": "e;e ee s;es s se",
        "X1X1": "e;e ee s;es s;se", "K1N": "e;e ee;se", "K1K": "e es;e ee;se", "KK1": "e;e ee se es",
        "K1K1": "e;e ee es;se", "K1X": "e;e ee s es;se", "KX1": "e;e ee se s;es", "K1X1": "e;e ee s;se es",
        "I1N": "e s;e ee;se", "I1K": "e es s;e ee;se", "IK1": "e s;e ee se es", "I1K1": "e s;e ee es;se",
        "I1X": "e s;e ee s es;se", "IX1": "e s;e ee se s;es", "I1X1": "e s;e ee s;se es",
    ]
}
