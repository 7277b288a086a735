// The sections that look the same on both sides: carriers, shards, polling, drain, limits, log.

extension Section {
    /// The settings both daemons share; called on the top section. `limits` is the section of that name.
    func common(_ limits: Section) -> CommonSettings {
        let standard = CommonSettings()
        let carriers = section("carriers", keys: Keys.carriers)
        let heartbeat = carriers.duration(
            "heartbeat", default: standard.heartbeat, in: .milliseconds(1)...(.seconds(3600)))
        let deadAfter = carriers.duration(
            "dead-after", default: standard.deadAfter, in: .milliseconds(2)...(.seconds(86_400)))
        carriers.requireOrder(
            ("heartbeat", heartbeat), isBelow: ("dead-after", deadAfter), orEqual: false, Quantity.text)

        return CommonSettings(
            shards: shards(default: standard.shards),
            polling: word("polling", called: "choice", default: standard.polling),
            heartbeat: heartbeat.value, deadAfter: deadAfter.value, rekey: carriers.rekey(),
            drain: duration("drain", default: standard.drain, in: .zero...(.seconds(3600))).value,
            maxConnections: limits.count("connections", default: standard.maxConnections, in: 1...10_000_000).value,
            logLevel: section("log", keys: Keys.log).word("level", called: "level", default: standard.logLevel))
    }

    private func rekey() -> RekeySettings {
        let standard = RekeySettings()
        let rekey = section("rekey", keys: Keys.rekey)
        let frames = rekey.count("frames", default: Int(clamping: standard.frames), in: 16...(1 << 48))
        return RekeySettings(
            frames: UInt64(clamping: frames.value),
            bytes: rekey.size("bytes", default: standard.bytes, in: (64 << 10)...(1 << 50)),
            every: rekey.duration("every", default: standard.every, in: .milliseconds(100)...(.seconds(86_400))).value)
    }

    private func shards(default standard: Int) -> Int {
        if let node = node("shards"), case .scalar("auto", _) = node.content { return 0 }
        if let node = node("shards"), node.kind == "text" {
            findings.report(node.mark, "shards must be auto or a whole number, found text", "write auto or 1 to 256")
            return standard
        }
        return count("shards", default: standard, in: 1...256).value
    }

    /// One of a few words; `what` is what messages call it.
    func word<Word: RawRepresentable<String> & CaseIterable>(
        _ key: String, called what: String, default standard: Word
    ) -> Word {
        let words = Word.allCases.map(\.rawValue)
        guard let node = node(key),
            let text = node.text(path: name(key), form: "one of \(words.joined(separator: ", "))", findings)
        else { return standard }
        guard let word = Word(rawValue: text) else {
            let known = "known \(what)s: \(words.joined(separator: ", "))"
            findings.report(
                node.mark, "\(name(key)): unknown \(what) \(quoted(text))",
                nearest(to: text, among: words).map { "did you mean \($0)?" } ?? known)
            return standard
        }
        return word
    }

    /// Reports two values in the wrong order, at the later one that was given.
    func requireOrder<Value: Comparable>(
        _ low: (key: String, field: Field<Value>), isBelow high: (key: String, field: Field<Value>), orEqual: Bool,
        _ text: (Value) -> String
    ) {
        guard low.field.isSound, high.field.isSound else { return }
        let (a, b) = (low.field.value, high.field.value)
        guard orEqual ? a > b : a >= b else { return }
        func shown(_ field: Field<Value>) -> String {
            text(field.value) + (field.mark == nil ? " (the default)" : "")
        }
        let relation = orEqual ? "must not exceed" : "must be less than"
        findings.report(
            [low.field.mark, high.field.mark].compactMap(\.self).max() ?? mark,
            "\(name(low.key)) \(shown(low.field)) \(relation) \(name(high.key)) \(shown(high.field))",
            "lower \(low.key) or raise \(high.key)")
    }
}
