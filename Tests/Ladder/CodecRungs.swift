// The rungs of `Codec`: the DRBG of a frame, the frame encoded, the frame decoded.
import Codec

extension Ladder {
    /// Plaintext bytes of the frames that are measured.
    static let frameSizes = [16, 1024, 16384, 65536]

    static func measureDerivation(_ table: inout Table) throws {
        let inputs = DirectionInputs()
        let derivation = DerivationAlone(
            entropy: inputs.entropy(), personalization: inputs.personalization, prefix: inputs.prefix)
        let oneShot = Stopwatch.cost { count in
            for counter in 0..<count { derivation.deriveAndWipe(counter: UInt64(counter)) }
        }
        table.add(Line("drbg", "one shot", per: "frame", oneShot, note: "17 compressions"))

        let general = try Stopwatch.cost { count in for _ in 0..<count { try generalDerivation(inputs) } }
        table.add(Line("drbg", "general form", per: "frame", general, below: "one shot", note: "not used for frames"))
    }

    /// The same 44 bytes from the DRBG that follows the standard step by step.
    private static func generalDerivation(_ inputs: DirectionInputs) throws {
        let nonce = inputs.prefix + [UInt8](repeating: 0, count: 8)
        let key = Secret(count: 44)
        try inputs.entropy().withUnsafeBytes { entropy in
            try nonce.withUnsafeBytes { nonce in
                try inputs.personalization.withUnsafeBytes { personalization in
                    var drbg = HMACDRBG(entropy: entropy, nonce: nonce, personalization: personalization)
                    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
                    try key.withUnsafeMutableBytes { try drbg.generate(into: $0, additionalInput: nothing) }
                }
            }
        }
    }

    static func measureEncoding(_ table: inout Table) throws {
        var below = "one shot"
        for size in frameSizes {
            var bench = FrameBench(size: size)
            let what = "encode \(sizeName(size))"
            let cost = try Stopwatch.cost { (count) throws(CodecError) in try bench.encode(count) }
            table.add(Line("encode", what, per: "frame", cost, below: below, note: throughput(size, cost)))
            below = what
        }
        var bench = FrameBench(size: 16)
        let scrubbed = try Stopwatch.cost { (count) throws(CodecError) in
            for _ in 0..<count {
                try bench.encode(at: 0)
                bench.scrub()
            }
        }
        table.add(Line("encode", "encode 16 B, end of turn", per: "frame", scrubbed, below: "encode 16 B"))
    }

    static func measureDecoding(_ table: inout Table) throws {
        for size in frameSizes {
            var bench = FrameBench(size: size)
            let cost = try Stopwatch.timed { count in try bench.decode(count) }
            let (what, below) = ("decode \(sizeName(size))", "encode \(sizeName(size))")
            table.add(Line("decode", what, per: "frame", cost, below: below, note: throughput(size, cost)))
        }
    }
}
