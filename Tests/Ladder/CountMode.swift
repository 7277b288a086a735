// Something done N times and nothing else, for scripts/count-instructions: run under valgrind with two values of N,
// the difference is what the operations alone executed.
import Codec

extension Ladder {
    static func count(_ arguments: [String]) throws {
        guard let mode = arguments.first, let last = arguments.last, let count = Int(last), count >= 0 else {
            throw LadderError.usage
        }
        switch (mode, arguments.count) {
        case ("drbg", 2): countDerivations(count)
        case ("pipe", 2): try countMessages(count)
        case ("pairing", 2): try countPairings(count)
        case ("resume", 2): try countResumes(count)
        case ("encode", 3), ("decode", 3):
            guard let size = Int(arguments[1]), (0...65536).contains(size) else { throw LadderError.usage }
            var bench = FrameBench(size: size)
            let decodes = mode == "decode"
            for _ in 0..<count {
                try bench.encode(at: 0)
                if decodes { try bench.decode(at: 0) }
            }
        default: throw LadderError.usage
        }
    }

    private static func countDerivations(_ count: Int) {
        let inputs = DirectionInputs()
        let derivation = DerivationAlone(
            entropy: inputs.entropy(), personalization: inputs.personalization, prefix: inputs.prefix)
        for counter in 0..<count { derivation.deriveAndWipe(counter: UInt64(counter)) }
    }
}
